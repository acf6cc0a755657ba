package app

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/app/demodata"
	"aiagents/modules/enhancement/retrieval/eval"
)

// TestTheSampleTenantsCanBeEvaluated runs the evaluation of a tenant's own history as the application role.
func TestTheSampleTenantsCanBeEvaluated(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	outcomes := map[string]error{}
	for _, data := range demodata.Tenants() {
		onboardSample(t, h, data)
		report, err := eval.RunHistory(t.Context(), h.p.system.tickets, data.ID, 0.2)
		if outcomes[data.ID] = err; err != nil {
			continue
		}
		require.True(t, report.Links.Proxies, "the sample data has no explicit links")
		require.GreaterOrEqual(t, report.Metrics.NDCG10, 0.5)
		var table bytes.Buffer
		require.NoError(t, report.WriteTable(&table))
		require.Contains(t, table.String(), "proxies were used")
		t.Log("\n" + table.String())
	}
	require.NoError(t, outcomes["harbor-clinic"])
	require.ErrorContains(t, outcomes["ridgeline-logistics"], "groups of linked tickets, and 10 are needed", "too few links are said to be so")
}

func TestEvaluationsAreOfDataOrOfATenant(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--data", "x"}, {"--tenant", "a", "--data", "x", "--split", "dev"}, {"--tenant", "a", "--ablation"}} {
		var out, errOut bytes.Buffer
		code := Run(t.Context(), append([]string{"eval", "retrieval"}, args...), strings.NewReader(""), &out, &errOut, nil)
		require.Equal(t, exitUsage, code, "%v", args)
		require.Contains(t, errOut.String(), "--tenant alone")
	}
}
