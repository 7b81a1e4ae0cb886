package access

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// revokedFile lists the ids of revoked certificates, one a line. It is no record
// of the store: a store that is damaged and set aside must not bring a revoked
// device back.
const revokedFile = "revoked"

var certificateIDs = regexp.MustCompile(`^[0-9a-f]{64}$`)

// revocations reads the list. A line that a power cut left unfinished was never
// answered for.
func (ca *CA) revocations() (map[string]bool, error) {
	out := map[string]bool{}
	f, err := os.Open(filepath.Join(ca.dir, revokedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if id, _, _ := strings.Cut(lines.Text(), " "); certificateIDs.MatchString(id) {
			out[id] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	return out, nil
}

// revoke appends to the list; it is durable when the call returns.
func (ca *CA) revoke(ids []string, name string) error {
	f, err := os.OpenFile(filepath.Join(ca.dir, revokedFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	var b strings.Builder
	b.WriteByte('\n') // after a line that was cut off
	for _, id := range ids {
		fmt.Fprintf(&b, "%s %s\n", id, name)
	}
	_, err = f.WriteString(b.String())
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(ca.dir)); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}
