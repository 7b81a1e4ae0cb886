// Package layout_test holds the map: which package may import which, which one
// wraps a library, that each package says what it is for, and what the top
// level of the project holds. The tables in table_test.go are the map.
package layout_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "edgeshadow/"
)

// file is one parsed Go file of the module.
type file struct {
	pkg     string // its folder from the root, with slashes
	name    string
	imports []string
	comment bool // it carries the package comment
}

func (f file) test() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f file) String() string { return path.Join(f.pkg, f.name) }

// MustParseFiles parses the imports of every Go file of the module.
func MustParseFiles(tb testing.TB) []file {
	tb.Helper()
	var files []file
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			return enter(name)
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(name))
		files = append(files, file{
			pkg: filepath.ToSlash(rel), name: e.Name(),
			imports: importsOf(parsed), comment: strings.HasPrefix(parsed.Doc.Text(), commentOf(parsed)),
		})
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) < 10 {
		tb.Fatalf("only %d Go files below %s", len(files), root)
	}
	return files
}

// enter skips what is no part of the module.
func enter(dir string) error {
	base := filepath.Base(dir)
	if dir == root {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || base[0] == '.' || base == "testdata" {
		return filepath.SkipDir
	}
	return nil
}

func importsOf(f *ast.File) []string {
	var paths []string
	for _, spec := range f.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, "`\""))
	}
	return paths
}

// commentOf is how the package comment of f begins: a command's as it likes.
func commentOf(f *ast.File) string {
	if f.Doc == nil {
		return "no comment"
	}
	if f.Name.Name == "main" {
		return ""
	}
	return "Package " + f.Name.Name + " "
}

func TestImports(t *testing.T) {
	for _, f := range MustParseFiles(t) {
		if f.test() {
			continue
		}
		rule, known := table[f.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the table", f, f.pkg)
			continue
		}
		for _, imported := range f.imports {
			own, isOwn := strings.CutPrefix(imported, module)
			switch {
			case !isOwn:
				checkForeign(t, f, imported)
			case strings.HasPrefix(own, "test/"):
				if !mayImportTest(f) {
					t.Errorf("%s imports %s: only tests and the demo use stand-ins", f, own)
				}
			case !slices.ContainsFunc(rule, func(pattern string) bool { return matches(pattern, own) }):
				t.Errorf("%s imports %s; %s may import %v", f, own, f.pkg, rule)
			}
		}
	}
}

// mayImportTest: stand-ins import each other, and the demo is played with them.
func mayImportTest(f file) bool {
	return strings.HasPrefix(f.pkg, "test/") || f.pkg == "cmd/demo"
}

// checkForeign holds the libraries to the packages that wrap them.
func checkForeign(t *testing.T, f file, imported string) {
	for _, never := range forbidden[f.pkg] {
		if matches(never, imported) {
			t.Errorf("%s imports %s, which %s does without", f, imported, f.pkg)
		}
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") || strings.HasPrefix(f.pkg, "test/") {
		return // the standard library; a stand-in uses what it needs
	}
	for library, wrappers := range libraries {
		if !matches(library+"...", imported) {
			continue
		}
		if !slices.ContainsFunc(wrappers, func(pattern string) bool { return matches(pattern, f.pkg) }) {
			t.Errorf("%s imports %s; only %v may", f, imported, wrappers)
		}
		return
	}
	t.Errorf("%s imports %s: the library is not in the table", f, imported)
}

// matches says whether a path is the pattern, or below it when it ends in "...".
func matches(pattern, name string) bool {
	prefix, open := strings.CutSuffix(pattern, "...")
	if !open {
		return pattern == name
	}
	return name == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(name, strings.TrimSuffix(prefix, "/")+"/") || prefix == ""
}

func TestPackageComments(t *testing.T) {
	comments, production := map[string][]string{}, map[string]bool{}
	for _, f := range MustParseFiles(t) {
		comments[f.pkg] = append(comments[f.pkg], nil...)
		production[f.pkg] = production[f.pkg] || !f.test()
		if f.comment {
			comments[f.pkg] = append(comments[f.pkg], f.name)
		}
	}
	for pkg, names := range comments {
		if production[pkg] {
			names = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "_test.go") })
		}
		if len(names) != 1 {
			t.Errorf("%s: want one package comment, have %d %v", pkg, len(names), names)
		}
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	ignored := MustReadIgnored(t)
	for _, e := range entries {
		name := e.Name()
		if name[0] == '.' || slices.Contains(topLevel, name) {
			continue
		}
		if !slices.ContainsFunc(ignored, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			t.Errorf("%s is not on the map of the top level: %v", name, topLevel)
		}
	}
}

// MustReadIgnored are the patterns of what a build leaves behind.
func MustReadIgnored(tb testing.TB) []string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		tb.Fatal(err)
	}
	var patterns []string
	for line := range strings.Lines(string(data)) {
		patterns = append(patterns, strings.Trim(strings.TrimSpace(line), "/"))
	}
	return patterns
}
