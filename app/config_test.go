package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestTheExampleNamesEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	cfg, err := loadConfig("../config.example.yaml", nil)
	require.NoError(t, err)
	defaults := defaultConfig()
	require.Equal(t, effective(&defaults), effective(&cfg))

	raw, err := os.ReadFile("../config.example.yaml")
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &document))
	for _, s := range settings(&defaults) {
		require.True(t, hasKey(document, strings.Split(s.key, ".")), "config.example.yaml has no %s", s.key)
	}
}

func hasKey(node map[string]any, path []string) bool {
	value, ok := node[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	inner, isMap := value.(map[string]any)
	return isMap && hasKey(inner, path[1:])
}

func TestEveryKeyOfTheExampleIsExplained(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../config.example.yaml")
	require.NoError(t, err)
	key := regexp.MustCompile(`^( *)[a-z0-9_]+:`)
	lines := strings.Split(string(raw), "\n")
	for i, line := range lines {
		if !key.MatchString(line) {
			continue
		}
		above := i > 0 && strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#")
		require.True(t, above || strings.Contains(line, " # "), "line %d has no comment: %s", i+1, line)
	}
}

func TestLaterSourcesWin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("http:\n  addr: \":9000\"\nlog:\n  level: debug\n"), 0o600))
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("sk-from-file\n"), 0o600))
	cfg, err := loadConfig(file, []string{
		"AI_AGENTS_HTTP_ADDR=:9100", "AI_AGENTS_OPENAI_API_KEY_FILE=" + key, "AI_AGENTS_WORKER_CONCURRENCY=7",
		"AI_AGENTS_OPENAI_FALLBACK_MODELS=a, b", "AI_AGENTS_DATABASE_MAX_CONNS=30", "AI_AGENTS_ENHANCEMENT_JOB_TIMEOUT=2m",
		"AI_AGENTS_LOG_FORMAT=", "UNRELATED=1",
	})
	require.NoError(t, err)
	require.Equal(t, ":9100", cfg.HTTP.Addr)
	require.Equal(t, "debug", cfg.Log.Level)
	require.Equal(t, "json", cfg.Log.Format, "an empty variable counts as not set")
	require.Equal(t, "sk-from-file", cfg.OpenAI.APIKey.Reveal())
	require.Equal(t, 7, cfg.Worker.Concurrency)
	require.Equal(t, []string{"a", "b"}, cfg.OpenAI.FallbackModels)
	require.EqualValues(t, 30, cfg.Database.MaxConns)
	require.Equal(t, 2*time.Minute, cfg.Enhancement.JobTimeout)
}

func TestAllFaultsComeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := loadConfig("", []string{
		"AI_AGENTS_ENVIRONMENT=production", "AI_AGENTS_LOG_LEVEL=loud", "AI_AGENTS_WORKER_CONCURRENCY=many",
		"AI_AGENTS_EGRESS_ALLOW_CIDRS=10.0.0.0", "AI_AGENTS_OPENAI_BASE_URL=nowhere", "AI_AGENTS_ENCRYPTION_KEYS=k1:short",
		"AI_AGENTS_DATABASE_URL_FILE=/does/not/exist",
	})
	require.Error(t, err)
	for _, want := range []string{
		"log.level", "AI_AGENTS_WORKER_CONCURRENCY", "egress.allow_cidrs", "openai.base_url", "encryption.keys",
		"AI_AGENTS_DATABASE_URL_FILE", "database.url: must be set outside development",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestUnknownKeysAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("http:\n  adresse: \":9000\"\n"), 0o600))
	_, err := loadConfig(file, nil)
	require.ErrorContains(t, err, "adresse")
	_, err = loadConfig(filepath.Join(t.TempDir(), "missing.yaml"), nil)
	require.ErrorContains(t, err, "cannot be opened")
}

func TestBothFormsOfOneSecretAreRefused(t *testing.T) {
	t.Parallel()
	_, err := loadConfig("", []string{"AI_AGENTS_ADMIN_TOKEN=a", "AI_AGENTS_ADMIN_TOKEN_FILE=/b"})
	require.ErrorContains(t, err, "both set")
}

// The contract's names are what charts and scripts rely on.
func TestTheContractsVariablesExist(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	have := map[string]bool{}
	for _, s := range settings(&cfg) {
		require.False(t, have[s.env], "two settings share the variable %s", s.env)
		have[s.env] = true
	}
	for _, name := range strings.Fields(`DATABASE_URL MIGRATION_DATABASE_URL ENVIRONMENT HTTP_ADDR OPS_ADDR ENCRYPTION_KEYS
		ADMIN_TOKEN OPENAI_API_KEY OPENAI_BASE_URL OPENAI_MODEL OPENAI_FALLBACK_MODELS LOG_LEVEL LOG_FORMAT WORKER_CONCURRENCY
		DATA_DIR EGRESS_ALLOW_CIDRS`) {
		require.True(t, have[name], "no setting reads AI_AGENTS_%s", name)
	}
}

func TestSecretsNeverShowInTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg, err := loadConfig("", []string{
		"AI_AGENTS_DATABASE_URL=postgres://u:hunter2@h/d", "AI_AGENTS_OPENAI_API_KEY=sk-hunter2", "AI_AGENTS_ADMIN_TOKEN=hunter2hunter2hunter2",
	})
	require.NoError(t, err)
	for key, value := range effective(&cfg) {
		require.NotContains(t, value, "hunter2", key)
	}
	require.Equal(t, "[set]", effective(&cfg)["database.url"])
	raw, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "hunter2")
}

func TestUnknownVariablesAreReported(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig()
	require.Equal(t, []string{"AI_AGENTS_HTTP_ADR"},
		unknownVariables(&cfg, []string{"AI_AGENTS_HTTP_ADR=:1", "AI_AGENTS_HTTP_ADDR=:1", "AI_AGENTS_ADMIN_TOKEN_FILE=/x", "PATH=/"}))
}

// The migration's process holds the owner's password; it need not hold the keyring too.
func TestMigrationsNeedNoKeyring(t *testing.T) {
	t.Parallel()
	environ := []string{"AI_AGENTS_ENVIRONMENT=production", "AI_AGENTS_DATABASE_URL=postgres://app@h/d"}
	_, err := loadMigrationConfig("", environ)
	require.NoError(t, err)
	_, err = loadConfig("", environ)
	require.ErrorContains(t, err, "encryption.keys: must be set")
	_, err = loadMigrationConfig("", append(environ, "AI_AGENTS_ENCRYPTION_KEYS=k1:short"))
	require.ErrorContains(t, err, "encryption.keys", "a wrong one is still a fault")
}
