# Runs the programs of bench/peers, each between two marks, in a guest and on the machine itself: `sh all.sh ROOT TMP`.
# From the environment (in a guest from the kernel's command line): programs, a list with commas; repeat, their
# argument; loops, how often each runs between its marks.
root=$1
tmp=$2
busybox=$root/bin/busybox
library() { "$root/lib/ld.so" --library-path "$root/lib" "$@"; }

sum_of() {
  sum=$($busybox md5sum) && echo "${sum%% *}"
}
compress() {
  n=0
  while [ $n -lt "$repeat" ]; do
    n=$((n + 1))
    $busybox gzip -c <"$root/share/text" >"$tmp/text.gz"
    $busybox gunzip -c <"$tmp/text.gz" | sum_of
    $busybox bzip2 -c <"$root/share/text" | sum_of
  done
}
compile() {
  cd "$root/share" || return
  n=0
  while [ $n -lt "$repeat" ]; do
    n=$((n + 1))
    library "$root/bin/tcc" -c -o "$tmp/program.o" program.c && sum_of <"$tmp/program.o"
  done
}

IFS=,
for program in $programs; do
  IFS=' '
  echo "[S $program]"
  loop=0
  while [ $loop -lt "${loops:-1}" ]; do
    loop=$((loop + 1))
    case $program in
      compress) result=$(compress | sum_of) ;;
      compile) result=$(compile | sum_of) ;;
      lua) result=$(library "$root/bin/lua5.4" "$root/share/bench.lua" "$repeat") ;;
      *) result=$("$root/bin/$program" "$repeat") ;;
    esac
  done
  echo "[D $program $result]"
done
echo "[E]"
