#!/usr/bin/env bash
# build-old-worker.sh COMMIT FOLDER: builds the chaos worker as it was at COMMIT, in FOLDER, which git ignores.
set -euo pipefail

commit=$1 folder=$2
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    printf 'error: commit %s is not in this clone, and the case rolling-upgrade needs it.\n' "$commit" >&2
    printf "If this is a shallow clone, 'git fetch --unshallow' fetches the rest.\n" >&2
    exit 1
fi
"Scripts/install-dependencies.sh" --library-only
printf 'Building the chaos worker of %s: some minutes, once …\n' "$commit"
rm -rf "$folder"
mkdir "$folder"
git archive "$commit" | tar -x -C "$folder"
swift build --package-path "$folder/Chaos" --product chaos-worker
