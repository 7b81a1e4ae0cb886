package localshadow

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
)

// damageError is what makes a store unfit to be opened.
type damageError struct{ what string }

func (e *damageError) Error() string { return e.what }

// prepare looks at the files in dir before badger does. Badger forgives too
// much: without its MANIFEST it opens empty and deletes every table, a table
// with a wrong checksum it leaves out, and one that is cut short makes it panic
// where nobody can recover. So each table is opened here first.
func prepare(dir string, log *slog.Logger) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	files := make(map[string]int64, len(entries))
	memtables := 0
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files[entry.Name()] = info.Size()
		if filepath.Ext(entry.Name()) != ".mem" {
			continue
		}
		if info.Size() > 0 {
			memtables++
			continue
		}
		// A kill between creating and sizing it. It never held anything.
		log.Debug("remove empty log of the store", "file", entry.Name())
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
		delete(files, entry.Name())
	}
	if _, ok := files[badger.ManifestFilename]; !ok {
		for name := range files {
			switch filepath.Ext(name) {
			case ".sst", ".mem", ".vlog":
				return &damageError{"MANIFEST is missing beside " + name}
			}
		}
		return nil
	}
	tables, torn, err := readManifest(dir)
	if err != nil {
		return err
	}
	var buf bytes.Buffer // for all of them
	for name := range tables {
		size, ok := files[name]
		if !ok {
			return &damageError{"table " + name + " is missing"}
		}
		buf.Reset()
		buf.Grow(int(size) + bytes.MinRead)
		if err := checkTable(filepath.Join(dir, name), &buf); err != nil {
			return &damageError{"table " + name + ": " + err.Error()}
		}
	}
	if !torn || memtables > 1 {
		return nil
	}
	// A torn end of the MANIFEST is what a power cut may leave: the tables that
	// it would have named are then doubles, of a memtable that is still there
	// (there are two) or of older tables. Without, something was cut off.
	for name := range files {
		if _, ok := tables[name]; !ok && filepath.Ext(name) == ".sst" {
			return &damageError{"MANIFEST is cut short: it does not name " + name}
		}
	}
	return nil
}

func readManifest(dir string) (tables map[string]struct{}, torn bool, err error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	manifest, end, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return nil, false, &damageError{"MANIFEST: " + err.Error()}
	}
	tables = make(map[string]struct{}, len(manifest.Tables))
	for id := range manifest.Tables {
		tables[table.IDToFilename(id)] = struct{}{}
	}
	return tables, end < info.Size(), nil
}

// checkTable reads a whole table into buf and compares its checksums. A panic in
// here is of badger's parser, on bytes that are not a table.
func checkTable(path string, buf *bytes.Buffer) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := buf.ReadFrom(f); err != nil {
		return err
	}
	if buf.Len() == 0 {
		return errors.New("empty")
	}
	defer func() {
		if recover() != nil {
			err = errors.New("unreadable: cut short or overwritten")
		}
	}()
	t, err := table.OpenInMemoryTable(buf.Bytes(), 0, &table.Options{
		Compression: options.None, BlockSize: blockSize, ChkMode: options.OnTableRead,
	})
	if err != nil {
		return err
	}
	return t.VerifyChecksum()
}
