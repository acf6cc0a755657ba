package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// policy says what each part of the tree may import of the tree, tests included. A part not listed here is an error, so a
// new package must say what it may know. Do not widen a row to make a build pass: move the code.
var policy = []struct{ part, may string }{
	{"main", `^app$`},
	{"app", `.*`}, // the composition root sees everything
	{"app/adminapi", `^(app/(adminauth|housekeeping|operator)|modules/tenant|modules/enhancement/evidence|internal/(fault|secret))$`},
	{"app/adminauth", `^internal/(fault|secret)$`},
	{"app/demodata", `^$`},
	{"app/housekeeping", `^(db|db/dbtest|internal/fault)$`},
	{"app/operator", `^(app/housekeeping|modules/.*|internal/(fault|secret))$`},
	{"db", `^(db/.*|internal/(fault|secret))$`},
	{"internal/crashpoint", `^$`},
	{"internal/egress", `^internal/(fault|secret)$`},
	{"internal/fault", `^$`},
	{"internal/harness", `^$`},
	{"internal/keyring", `^internal/(fault|secret)$`},
	{"internal/secret", `^$`},
	{"internal/simulator", `^internal/simulator/.*$`},
	{"modules/enhancement", `^(modules/enhancement/.*|db|db/dbtest|internal/(fault|secret|crashpoint|simulator/openai))$`},
	{"modules/notifier", `^(db|db/dbtest|internal/(fault|secret|egress|crashpoint|simulator/servicedesk))$`},
	{"modules/tenant", `^(db|db/dbtest|internal/(fault|secret|keyring))$`},
	{"modules/webhook", `^(db|db/dbtest|internal/(fault|secret|crashpoint))$`},
}

type listedPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "aiagents/...")
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []listedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

// partOf is the row of the policy that a package falls under: the longest part that contains it.
func partOf(pkg string) (part, may string, ok bool) {
	for _, row := range policy {
		if (pkg == row.part || strings.HasPrefix(pkg, row.part+"/")) && len(row.part) >= len(part) {
			part, may, ok = row.part, row.may, true
		}
	}
	return part, may, ok
}

func violation(pkg, imported string) string {
	part, may, ok := partOf(pkg)
	switch {
	case !ok:
		return pkg + " is in no row of the policy"
	case imported == part || strings.HasPrefix(imported, part+"/"):
		return ""
	case !regexp.MustCompile(may).MatchString(imported):
		return pkg + " must not import " + imported
	}
	return ""
}

func TestNoPackageImportsWhatItMustNotKnow(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	modules := 0
	for _, p := range packages {
		pkg := strings.TrimPrefix(p.ImportPath, "aiagents/")
		if p.ImportPath == "aiagents" {
			pkg = "main"
		}
		if strings.HasPrefix(pkg, "modules/") {
			modules++
		}
		for _, list := range [][]string{p.Imports, p.TestImports, p.XTestImports} {
			for _, imported := range list {
				if rest, ours := strings.CutPrefix(imported, "aiagents/"); ours {
					require.Empty(t, violation(pkg, rest))
				}
			}
		}
	}
	require.GreaterOrEqual(t, modules, 4, "the test must have seen the modules")
}

func TestTheImportPolicyCatchesWhatItShould(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, violation("modules/webhook", "modules/enhancement"))
	require.NotEmpty(t, violation("modules/enhancement/retrieval", "modules/tenant"))
	require.NotEmpty(t, violation("internal/fault", "db"))
	require.NotEmpty(t, violation("db/embedded", "modules/tenant"))
	require.NotEmpty(t, violation("brandnew", "db"))
	require.Empty(t, violation("app", "modules/tenant"))
	require.Empty(t, violation("modules/enhancement", "modules/enhancement/note"))
}

// Sub-packages of the enhancement module know evidence and the leaves, never each other.
func TestSubPackagesOfEnhancementDoNotKnowEachOther(t *testing.T) {
	t.Parallel()
	const root = "aiagents/modules/enhancement/"
	for _, p := range listPackages(t) {
		sub, inside := strings.CutPrefix(p.ImportPath, root)
		if !inside {
			continue
		}
		own, _, _ := strings.Cut(sub, "/")
		for _, imported := range p.Imports {
			if other, ok := strings.CutPrefix(imported, root); ok {
				name, _, _ := strings.Cut(other, "/")
				require.Contains(t, []string{own, "evidence"}, name, "%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..")
	for _, p := range listPackages(t) {
		dir := filepath.Join(root, strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "aiagents"), "/"))
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		found := false
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			found = found || regexp.MustCompile(`(?m)^// (Package|Command) [a-z]+ `).Match(content)
		}
		require.True(t, found, "%s has no package comment", p.ImportPath)
	}
}
