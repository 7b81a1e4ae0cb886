#!/usr/bin/env bash
# What a Debian user does with the package, in a fresh Debian: install, run,
# upgrade with data in place, refuse to go back, remove, install again, purge
# (L23); and what the installed daemon costs when it has nothing to do (L22).
# packaging/check.sh; as root, with debootstrap, lintian and qemu-user-static.
set -euo pipefail
cd "$(dirname "$0")/.."
old=0.0.1~check new=0.0.2~check

say() { printf -- '--- %s\n' "$*"; }
fail() { printf 'check.sh: %s\n' "$*" >&2; exit 1; }

say "build, and build again: the same bytes"
packaging/build.sh "$new"
sum() { sha256sum <"dist/edgeshadow_${new}_amd64.deb"; }
first=$(sum)
packaging/build.sh "$new" amd64
[ "$first" = "$(sum)" ] || fail "the second build differs"
packaging/build.sh "$old" amd64
for arch in amd64 arm64 armhf; do
    deb=dist/edgeshadow_${new}_$arch.deb
    size=$(stat -c %s "$deb")
    say "$arch: $size bytes"
    [ "$size" -le $((12 << 20)) ] || fail "$deb is larger than 12 MB"
    lintian --fail-on error,warning "$deb"
done

root=$(mktemp -d)
chmod 0755 "$root"
daemon=
stop() {
    if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null && wait "$daemon" || true; daemon=; fi
}
trap 'stop; umount "$root/proc" 2>/dev/null || true; rm -rf "$root"' EXIT

say "a fresh Debian"
mirror=$(apt-get indextargets --format '$(SITE)' | head -n1)
debootstrap --variant=minbase --include=systemd,ca-certificates bookworm "$root" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log"; exit 1; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
cp dist/edgeshadow_{"$old","$new"}_amd64.deb "$root/root/"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
add() { inside apt-get install -y -qq --no-install-recommends "/root/edgeshadow_$1_amd64.deb" >/dev/null; }

# start runs the daemon as its unit does: as its user, with its folders.
start() {
    inside install -d -o edgeshadow -g edgeshadow -m 0750 /run/edgeshadow
    chroot --userspec=edgeshadow:edgeshadow "$root" /usr/bin/edgeshadow run &
    daemon=$!
    for _ in $(seq 200); do
        inside edgeshadow status --json >/dev/null 2>&1 && return
        kill -0 "$daemon" 2>/dev/null || fail "the daemon ended"
        sleep 0.1
    done
    fail "the daemon does not answer"
}
version() { inside edgeshadow shadow get lamp | grep -o '"version":[0-9]*' | head -n1; }

say "install $old"
add "$old"
inside id edgeshadow | grep -q dialout || fail "edgeshadow is not in dialout"
inside id edgeshadow | grep -q bluetooth || fail "edgeshadow is not in bluetooth"
[ "$(inside stat -c '%U:%G %a' /var/lib/edgeshadow)" = "edgeshadow:edgeshadow 750" ] || fail "/var/lib/edgeshadow has the wrong owner"
inside edgeshadow check
[ -L "$root/etc/systemd/system/multi-user.target.wants/edgeshadow.service" ] || fail "the unit is not enabled"
inside test -s /usr/share/man/man1/edgeshadow.1.gz
start
inside edgeshadow shadow update lamp '{"state":{"reported":{"power":"on"}}}' >/dev/null
inside edgeshadow shadow update lamp '{"state":{"desired":{"power":"off"}}}' >/dev/null
[ "$(version)" = '"version":2' ] || fail "no shadow of version 2"

say "idle: memory and processor"
ticks() { awk '{print $14 + $15}' "/proc/$daemon/stat"; } # of 10 ms
before=$(ticks)
sleep 10
used=$(($(ticks) - before))
resident=$(awk '/^VmRSS:/ {print $2}' "/proc/$daemon/status")
echo "$resident KiB resident, 0.$used % of a core"
[ "$resident" -le $((30 << 10)) ] || fail "more than 30 MiB"
[ "$used" -lt 5 ] || fail "0.5 % of a core or more"

say "the unit"
inside systemd-analyze verify --man=no /lib/systemd/system/edgeshadow.service
inside systemd-analyze security --offline=yes --threshold=20 /lib/systemd/system/edgeshadow.service | tail -n 1

say "the main job: a whole site with the installed binary"
inside edgeshadow demo --once >"$root/demo.txt" || { cat "$root/demo.txt"; fail "demo --once"; }
tail -n 5 "$root/demo.txt"

say "upgrade to $new, with data and an edited configuration"
stop
printf '\n# edited\ngateway: {thing: gw-check}\n' >>"$root/etc/edgeshadow/edgeshadow.yaml"
rm "$root/var/lib/edgeshadow/store.format" # as before formats were numbered
add "$new"
inside edgeshadow version | grep -q "$new" || fail "the binary is not of $new"
grep -q '^# edited' "$root/etc/edgeshadow/edgeshadow.yaml" || fail "the configuration was overwritten"
start
[ "$(version)" = '"version":2' ] || fail "the upgrade lost the shadow"
[ -d "$root/var/lib/edgeshadow/store.format-0" ] || fail "no copy of the store from before the upgrade"
stop

say "going back is refused"
if inside dpkg -i "/root/edgeshadow_${old}_amd64.deb" >"$root/back.txt" 2>&1; then fail "the older package was installed"; fi
grep 'edgeshadow: .* is older than' "$root/back.txt" || fail "no clear line"
inside edgeshadow version | grep -q "$new" || fail "the refused package left its binary"

say "remove keeps data, and installing again finds it"
inside apt-get remove -y -qq edgeshadow >/dev/null
[ ! -e "$root/usr/bin/edgeshadow" ] || fail "the binary is still there"
[ -d "$root/var/lib/edgeshadow/store" ] || fail "remove erased the store"
add "$new"
start
[ "$(version)" = '"version":2' ] || fail "installing again lost the shadow"
stop

say "purge leaves nothing of ours"
inside apt-get purge -y -qq edgeshadow >/dev/null
rm -rf "$root"/root/edgeshadow_* "$root"/{demo,back}.txt "$root/run/edgeshadow" "$root"/tmp/edgeshadow-demo-*
left=$(find "$root" -xdev -path "$root/proc" -prune -o -name '*edgeshadow*' -print)
[ -z "$left" ] || fail "left behind: $left"
inside getent passwd edgeshadow && fail "the user is still there"
umount "$root/proc"

say "the arm binaries, in emulation"
for arch in arm64:aarch64 armhf:arm; do
    dpkg-deb -x "dist/edgeshadow_${new}_${arch%:*}.deb" "$root/${arch%:*}"
    "qemu-${arch#*:}-static" "$root/${arch%:*}/usr/bin/edgeshadow" demo --once >"$root/demo.txt" || { cat "$root/demo.txt"; fail "demo --once on ${arch%:*}"; }
    tail -n 4 "$root/demo.txt"
done

say "all of it held"
