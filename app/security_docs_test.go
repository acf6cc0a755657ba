package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var namedTest = regexp.MustCompile("`([a-z][A-Za-z0-9_/]*_test\\.go):((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// brokenPromises lists what a page promises without a test that exists: tests that are gone, and rows of threats without any.
func brokenPromises(t *testing.T, page string) (broken []string) {
	t.Helper()
	inThreats := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| threat |") {
			inThreats = true
			continue
		}
		if !strings.HasPrefix(line, "|") {
			inThreats = false
		}
		found := namedTest.FindAllStringSubmatch(line, -1)
		if inThreats && !strings.HasPrefix(line, "| ---") && len(found) == 0 {
			broken = append(broken, "no test: "+strings.TrimSpace(line))
		}
		for _, m := range found {
			source, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(m[1])))
			if err != nil || !strings.Contains(string(source), "\nfunc "+m[2]+"(") {
				broken = append(broken, "gone: "+m[0])
			}
		}
	}
	return broken
}

func TestTheThreatModelNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	require.Empty(t, brokenPromises(t, string(page)))
	require.Greater(t, len(namedTest.FindAllString(string(page), -1)), 60)
	require.Len(t, brokenPromises(t, "| threat | defence | held by |\n| --- | --- | --- |\n| a | b | hope |\n| a | b | `app/security_docs_test.go:TestGone` |\n"), 2)
}

// The page says which variables and commands to use; they must be there.
func TestTheSecurityPageNamesSettingsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	cfg := defaultConfig()
	known := map[string]bool{}
	for _, name := range variableNames(&cfg) {
		known[name] = true
	}
	for _, name := range regexp.MustCompile(envPrefix+`[A-Z][A-Z_]*[A-Z]`).FindAllString(string(page), -1) {
		require.True(t, known[name], "%s is no setting", name)
	}
}
