#!/usr/bin/env bash
# Builds the Debian packages of one version for amd64, arm64 and armhf into
# dist/: packaging/build.sh VERSION [ARCH...]. The same commit gives the same bytes.
#
# armhf is built for ARMv6, so that one package serves the Pi Zero and later ones.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?usage: packaging/build.sh VERSION [ARCH...], for example 0.1.0}
shift
[[ $version =~ ^[0-9][A-Za-z0-9.+~]*$ ]] || { echo "build.sh: $version is no version of a native Debian package" >&2; exit 2; }
[ $# -gt 0 ] || set -- amd64 arm64 armhf

export CGO_ENABLED=0 GOFLAGS=-mod=readonly
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
ldflags="-s -w -buildid= -X main.version=$version"

nfpm=$stage/nfpm
(cd packaging/tools && go build -o "$nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm)

# What every architecture shares.
share=$stage/share
doc=$share/doc/edgeshadow
man=$share/man
mkdir -p "$doc" "$man/man1" "$man/man5" "$share/edgeshadow/templates" \
    "$share/bash-completion/completions" "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d" \
    "$share/lintian/overrides"
go build -trimpath -ldflags "$ldflags" -o "$stage/host" ./cmd/edgeshadow
"$stage/host" man "$man/man1"
"$stage/host" completion bash >"$share/bash-completion/completions/edgeshadow"
"$stage/host" completion zsh >"$share/zsh/vendor-completions/_edgeshadow"
"$stage/host" completion fish >"$share/fish/vendor_completions.d/edgeshadow.fish"
cp packaging/man/edgeshadow.yaml.5 "$man/man5/"
gzip -9n "$man"/man1/*.1 "$man"/man5/*.5
cp packaging/templates/*.yaml "$share/edgeshadow/templates/"
cp packaging/OPERATING.md "$doc/"
cp packaging/copyright "$doc/copyright"
cp packaging/lintian-overrides "$share/lintian/overrides/edgeshadow"
{
    printf 'edgeshadow (%s) stable; urgency=medium\n\n' "$version"
    awk '/^## / && n++ {exit} n && /^- / {if (p) print p; p = substr($0, 3)} n && /^  [^ ]/ {p = p " " substr($0, 3)} END {print p}' CHANGELOG.md |
        while read -r line; do
            fold -s -w 72 <<<"$line" | sed -e 's/ *$//; 1s/^/  * /; 2,$s/^/    /'
        done
    printf '\n -- edgeshadow maintainers <maintainers@edgeshadow.invalid>  %s\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.gz"
find "$share" -type d -exec chmod 0755 {} + -o -type f -exec chmod 0644 {} +
sed "s/@VERSION@/$version/" packaging/scripts/preinst >"$stage/preinst"

mkdir -p dist
for arch in "$@"; do
    case $arch in
    amd64) target=(GOARCH=amd64 GOAMD64=v1) ;;
    arm64) target=(GOARCH=arm64) ;;
    armhf) target=(GOARCH=arm GOARM=6) ;;
    *) echo "build.sh: no architecture $arch; amd64, arm64 and armhf" >&2; exit 2 ;;
    esac
    env "${target[@]}" go build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$stage/edgeshadow" ./cmd/edgeshadow
    touch -d "@$SOURCE_DATE_EPOCH" "$stage/edgeshadow"
    sed -e "s|@STAGE@|$stage|; s|@ARCH@|$arch|; s|@VERSION@|$version|" packaging/nfpm.yaml >"$stage/nfpm.yaml"
    "$nfpm" package --config "$stage/nfpm.yaml" --packager deb --target "dist/edgeshadow_${version}_$arch.deb"
done
