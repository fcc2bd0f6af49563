// `oriel serve`: a static file server for the page. It sends the headers that isolate the page (COOP, COEP),
// without which a browser gives it no shared memory and only coarse clocks.
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";

import { fileError } from "./files.ts";
import { UsageError } from "./options.ts";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

export function serveHelp(): string {
  return `Usage: oriel serve [--port N] [--host ADDRESS] [--dir D]

Serves the page and prints its address.

  --port N          TCP port; 0 takes a free one; default 8080
  --host ADDRESS    address to listen on; default 127.0.0.1
  --dir D           what to serve; default the built page
`;
}

function respond(root: string, request: http.IncomingMessage, response: http.ServerResponse): void {
  const fail = (status: number, text: string) => {
    response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" });
    response.end(`${text}\n`);
  };
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Cache-Control", "no-cache");
  if (request.method !== "GET" && request.method !== "HEAD") return fail(405, "only GET and HEAD");
  let name: string;
  try {
    name = decodeURIComponent((request.url ?? "/").split("?")[0] ?? "/");
  } catch {
    return fail(400, "not a path");
  }
  if (name.includes("\0")) return fail(400, "not a path");
  if (name.endsWith("/")) name += "index.html";
  const file = path.join(root, path.posix.normalize(`/${name}`));
  fs.stat(file, (error, stat) => {
    if (error || !stat.isFile()) return fail(404, `there is no ${name}`);
    const type = TYPES[path.extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, "Content-Length": stat.size });
    if (request.method === "HEAD") return void response.end();
    const stream = fs.createReadStream(file);
    stream.on("error", () => response.destroy());
    stream.pipe(response);
  });
}

/** Serves until a signal comes; returns the exit status. */
export function serve(args: string[], pageDir: string): Promise<number> {
  let port = 8080;
  let host = "127.0.0.1";
  let dir = pageDir;
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i], args[i + 1]];
    if (name !== "--port" && name !== "--host" && name !== "--dir") {
      throw new UsageError(`serve: there is no option ${name} (see 'oriel serve --help')`);
    }
    if (value === undefined) throw new UsageError(`serve: ${name} needs a value`);
    if (name === "--host") host = value;
    else if (name === "--dir") dir = value;
    else if (/^[0-9]{1,5}$/.test(value) && Number(value) < 65536) port = Number(value);
    else throw new UsageError(`serve: --port: '${value}' is not a port`);
  }
  if (!fs.existsSync(path.join(dir, "index.html"))) {
    throw new UsageError(`serve: ${dir} has no index.html (build the page first: ./run --build-only)`);
  }
  const server = http.createServer((request, response) => respond(dir, request, response));
  return new Promise((resolve, reject) => {
    server.on("error", (error) => reject(fileError(`serve: ${host}:${port}`, error)));
    server.listen(port, host, () => {
      const address = server.address();
      const actual = typeof address === "object" && address ? address.port : port;
      process.stdout.write(`Oriel is at http://${host.includes(":") ? `[${host}]` : host}:${actual}/ (Ctrl-C stops)\n`);
    });
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => resolve(0));
  });
}
