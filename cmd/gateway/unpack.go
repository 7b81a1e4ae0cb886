package gateway

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxRestored bounds one file of a backup, but for the store and the journals.
const maxRestored = 4 << 20

// ReadManifest reads what a backup is of.
func ReadManifest(r io.Reader) (m Manifest, err error) {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return m, fmt.Errorf("it is no backup: %w", err)
	}
	archive := tar.NewReader(zipped)
	header, err := archive.Next()
	if err != nil || header.Name != backupManifest {
		return m, errors.Join(errors.New("it is no backup"), err)
	}
	if err := json.NewDecoder(io.LimitReader(archive, maxRestored)).Decode(&m); err != nil {
		return m, fmt.Errorf("it is no backup: %w", err)
	}
	if m.Format != backupFormat {
		return m, fmt.Errorf("a backup of format %d; this version reads %d", m.Format, backupFormat)
	}
	return m, nil
}

// VerifyBackup reads a backup to its end.
func VerifyBackup(r io.Reader) error {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	archive := tar.NewReader(zipped)
	for {
		if _, err := archive.Next(); errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, zipped) // to its checksum
			return err
		} else if err != nil {
			return err
		}
	}
}

// unpacking is a backup on its way into its place.
type unpacking struct {
	main, staged string
	log          *slog.Logger
	out          *Restored
}

func (u *unpacking) unpack(r io.Reader) error {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	archive := tar.NewReader(zipped)
	dump, err := os.Create(filepath.Join(u.staged, "store.dump"))
	if err != nil {
		return err
	}
	defer dump.Close()
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			if _, err := io.Copy(io.Discard, zipped); err != nil { // to its checksum
				return err
			}
			return dump.Close()
		}
		if err != nil {
			return err
		}
		switch name := header.Name; {
		case name == backupManifest:
		case strings.HasPrefix(name, backupStore):
			_, err = io.Copy(dump, archive)
		case strings.HasPrefix(name, backupPKI), strings.HasPrefix(name, backupConfig):
			if header.Size > maxRestored {
				return fmt.Errorf("%s is too large", name)
			}
			fallthrough
		case strings.HasPrefix(name, backupRelay):
			err = u.write(name, fs.FileMode(header.Mode).Perm(), archive)
		default:
			err = fmt.Errorf("it holds %q", name)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacking) write(name string, mode fs.FileMode, from io.Reader) error {
	if !filepath.IsLocal(name) || name != path.Clean(name) {
		return fmt.Errorf("it holds %q", name)
	}
	target := filepath.Join(u.staged, name)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	to, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
