package gateway

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"edgeshadow/bridge/relay"
	"edgeshadow/config"
)

// A backup is a gzipped tar: what it is of, the store's dump in pieces, the CA
// and the configuration.
const (
	backupFormat   = 1
	backupManifest = "manifest.json"
	backupStore    = "store/"  // pieces of the dump, by number
	backupPKI      = "pki/"    // <store.path>/pki
	backupRelay    = "relay/"  // <store.path>/relay, a folder for each journal
	backupConfig   = "config/" // the folder of the main file
	backupPiece    = 1 << 20
)

// Manifest says what a backup is of.
type Manifest struct {
	Format  int       `json:"format"`
	Thing   string    `json:"thing"`
	Boot    uint64    `json:"boot"`
	Created time.Time `json:"created"`
	Main    string    `json:"main"` // name of the main file; empty: it was not in a file
	// Missing are files that the configuration names and that are not in the
	// backup, because they lie outside the folder of the main file.
	Missing []string `json:"missing,omitempty"`
}

// Backup writes the whole gateway while it runs: the store as of one moment, the
// CA, the configuration with the keys that it names, and what the relay's journals
// hold for the cloud. It holds secrets.
func (g *Gateway) Backup(w io.Writer) error {
	zipped := gzip.NewWriter(w)
	b := backup{tar.NewWriter(zipped), time.Now().UTC().Truncate(time.Second)}
	m := Manifest{Format: backupFormat, Thing: g.cfg.Load().Gateway.Thing, Boot: g.store.Boot(), Created: b.now}
	files, err := g.configFiles(&m)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	err = b.add(backupManifest, 0o600, manifest)
	for name, path := range files {
		if err == nil {
			err = b.file(backupConfig+name, path)
		}
	}
	if err == nil {
		err = b.folder(backupPKI, filepath.Join(g.cfg.Load().Store.Path, "pki"))
	}
	if err == nil {
		err = b.journals(filepath.Join(g.cfg.Load().Store.Path, "relay"))
	}
	if err == nil {
		pieces := &pieces{add: func(n int, data []byte) error { return b.add(fmt.Sprintf("%s%06d", backupStore, n), 0o600, data) }}
		err = errors.Join(g.store.Dump(pieces), pieces.flush())
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return errors.Join(b.tar.Close(), zipped.Close())
}

// configFiles are the files of the configuration by their names in the backup.
func (g *Gateway) configFiles(m *Manifest) (map[string]string, error) {
	if g.options.File == "" {
		return nil, nil
	}
	main, err := filepath.Abs(g.options.File)
	if err != nil {
		return nil, err
	}
	m.Main = filepath.Base(main)
	files, err := config.Files(main)
	if err != nil {
		// What is on disk is not what runs; it is kept all the same.
		files = []string{main}
	}
	out := map[string]string{}
	for _, path := range files {
		name, err := filepath.Rel(filepath.Dir(main), path)
		if err != nil || !filepath.IsLocal(name) {
			m.Missing = append(m.Missing, path)
			continue
		}
		out[filepath.ToSlash(name)] = path
	}
	return out, nil
}

// backup is an archive that is being written.
type backup struct {
	tar *tar.Writer
	now time.Time
}

func (b backup) add(name string, mode fs.FileMode, data []byte) error {
	header := &tar.Header{Name: name, Mode: int64(mode.Perm()), Size: int64(len(data)), ModTime: b.now, Format: tar.FormatPAX}
	if err := b.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err := b.tar.Write(data)
	return err
}

func (b backup) file(name, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return b.add(name, info.Mode(), data)
}

// folder adds the files of a flat folder; none is there when it is not.
func (b backup) folder(name, path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := b.file(name+e.Name(), filepath.Join(path, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// journals adds the relay's journals as a power cut would leave them: first how
// far each was sent, then its segments, oldest first, which only grow, at the end,
// and go, at the beginning, when all in them was sent.
func (b backup) journals(path string) error {
	classes, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, class := range classes {
		if !class.IsDir() {
			continue
		}
		name, place := backupRelay+class.Name()+"/", filepath.Join(path, class.Name())
		if err := b.stream(name+relay.StateName, filepath.Join(place, relay.StateName)); err != nil {
			return err
		}
		segments, err := relay.Segments(place)
		if err != nil {
			return err
		}
		for _, segment := range segments {
			if err := b.stream(name+filepath.Base(segment), segment); err != nil {
				return err
			}
		}
	}
	return nil
}

// stream adds a file as long as it is now. One that is gone is left out.
func (b backup) stream(name, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: b.now, Format: tar.FormatPAX}
	if err := b.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.CopyN(b.tar, f, info.Size())
	return err
}

// pieces cuts a stream of unknown length into entries of known ones.
type pieces struct {
	add  func(n int, data []byte) error
	next int
	held bytes.Buffer
}

func (p *pieces) Write(data []byte) (int, error) {
	p.held.Write(data)
	if p.held.Len() >= backupPiece {
		return len(data), p.flush()
	}
	return len(data), nil
}

func (p *pieces) flush() error {
	if p.held.Len() == 0 {
		return nil
	}
	err := p.add(p.next, p.held.Bytes())
	p.held.Reset()
	p.next++
	return err
}
