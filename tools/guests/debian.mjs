// Debian's packages, of its current versions, downloaded with apt into a state directory of our own: nothing of the
// system changes, and no architecture is added to it. The sources are the system's.
// @ts-check
import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "./steps.mjs";

/** @typedef {"amd64" | "i386"} Architecture */

export class Debian {
  /** @param {string} dir where lists and packages are kept */
  constructor(dir) {
    this.dir = dir;
    this.packages = path.join(dir, "packages");
    for (const d of ["lists/partial", "cache/archives/partial", "packages"]) {
      fs.mkdirSync(path.join(dir, d), { recursive: true });
    }
    this.options = [
      "APT::Architecture=amd64",
      "APT::Architectures::=amd64",
      "APT::Architectures::=i386",
      `Dir::State=${dir}`,
      `Dir::State::Lists=${dir}/lists`,
      "Dir::State::status=/dev/null",
      `Dir::Cache=${dir}/cache`,
      "Acquire::Languages=none",
      "APT::Sandbox::User=", // root may read what others may not
    ].flatMap((o) => ["-o", o]);
  }

  update() {
    // A source that has no i386 packages, or is none of Debian's, is no reason to fail: what is missing shows later.
    try {
      run("apt-get", [...this.options, "-q", "update"], { show: true });
    } catch (error) {
      process.stderr.write(`guests: ${/** @type {Error} */ (error).message}; going on\n`);
    }
  }

  /** The package that a metapackage stands for.
   * @param {string} name @param {RegExp} pattern @param {Architecture} architecture */
  dependency(name, pattern, architecture) {
    const text = run("apt-cache", [...this.options, "show", "--no-all-versions", `${name}:${architecture}`]).toString();
    const found = /^Depends: (.*)$/m.exec(text)?.[1]?.split(/[ ,|]+/).find((p) => pattern.test(p));
    if (!found) throw new Error(`apt's ${name}:${architecture} depends on nothing like ${pattern}`);
    return found;
  }

  /** Downloads a package unless this version is there; returns its file.
   * @param {string} name @param {Architecture} architecture */
  download(name, architecture) {
    const target = `${name}:${architecture}`;
    const uri = run("apt-get", [...this.options, "download", "--print-uris", target]).toString();
    const file = /^'[^']*' (\S+) /m.exec(uri)?.[1];
    if (!file) throw new Error(`apt knows no package ${target}`);
    const full = path.join(this.packages, file);
    if (!fs.existsSync(full)) run("apt-get", [...this.options, "download", target], { cwd: this.packages, show: true });
    return full;
  }

  /** Unpacks a package into a directory, once.
   * @param {string} file */
  unpack(file) {
    const dir = path.join(this.dir, "unpacked", path.basename(file, ".deb"));
    if (!fs.existsSync(dir)) {
      const partial = `${dir}.partial`;
      fs.rmSync(partial, { recursive: true, force: true });
      fs.mkdirSync(partial, { recursive: true });
      run("dpkg-deb", ["--extract", file, partial]);
      fs.renameSync(partial, dir);
    }
    return dir;
  }
}
