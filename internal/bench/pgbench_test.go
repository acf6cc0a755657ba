package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	loggedInsert = `execute stmtcache_1: INSERT INTO t (tenant_id, id, key, ticket, text, args, nothing, empty) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8)`
	loggedParams = `parameters: $1 = 'tenant-1', $2 = '01a20702-6fa6-72b2-b4df-ecd9dbdee926', ` +
		`$3 = '\xaabbccddeeff00112233445566778899aabbccddeeff00112233445566778899', $4 = '1000007', $5 = 'it''s, $9 = ''x''', ` +
		`$6 = '{"tenant_id":"tenant-1","enhancement_id":"01a20702-6fa6-72b2-b4df-ecd9dbdee926"}', $7 = NULL, $8 = ''`
)

func TestALoggedStatementIsReadWithItsParameters(t *testing.T) {
	t.Parallel()
	st, ok := parseStatement(logLine{Message: loggedInsert, Detail: loggedParams})
	require.True(t, ok)
	require.Len(t, st.params, 8)
	require.Equal(t, "1000007", st.params[3])
	require.Equal(t, `it's, $9 = 'x'`, st.params[4])
	require.True(t, st.null[6])
	require.False(t, st.null[7])
	_, ok = parseStatement(logLine{Message: "checkpoint starting: time"})
	require.False(t, ok, "what is no statement must not get into the script")
}

func TestAScriptRepeatsTheStatementForOtherWebhooks(t *testing.T) {
	t.Parallel()
	st, ok := parseStatement(logLine{Message: loggedInsert, Detail: loggedParams})
	require.True(t, ok)
	r := recording{
		acceptance: acceptance{ticket: 7, job: "01a20702-6fa6-72b2-b4df-ecd9dbdee926"},
		statements: []statement{{sql: "begin"}, st, {sql: "commit"}},
	}
	s := r.script("tenant-1", 4)
	require.Contains(t, s.text, "VALUES ("+newTenant+", "+newUUID+"::uuid, "+newKey+", "+newTicket+", :p1_5, replace(")
	require.Contains(t, s.text, `::jsonb, NULL, '');`)
	require.NotContains(t, s.text, "'tenant-1',")
	require.NotContains(t, s.text, "1000007")
	require.Contains(t, s.values, `p1_5=it's, $9 = 'x'`)
}

func TestADeliveryThatComesAloneIsAnArrayOfOne(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`{1000007}`:                 "1000007",
		`{"\\xaa"}`:                 `\xaa`,
		`{"{\"tenant_id\":\"a\"}"}`: `{"tenant_id":"a"}`,
	} {
		one, array := element(value)
		require.True(t, array, value)
		require.Equal(t, want, one)
	}
	for _, value := range []string{`{1,2}`, `{"a","b"}`, `plain`, `{"tenant_id":"a"}`, `{}`} {
		one, array := element(value)
		require.False(t, array, value)
		require.Equal(t, value, one)
	}
	st, ok := parseStatement(logLine{
		Message: `execute s: INSERT INTO t SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::jsonb[]), unnest($4::text[])`,
		Detail: `parameters: $1 = '{01a20702-6fa6-72b2-b4df-ecd9dbdee926}', $2 = '{1000007}', ` +
			`$3 = '{"{\"tenant_id\": \"tenant-1\", \"enhancement_id\": \"01a20702-6fa6-72b2-b4df-ecd9dbdee926\"}"}', $4 = '{received}'`,
	})
	require.True(t, ok)
	r := recording{acceptance: acceptance{ticket: 7, job: "01a20702-6fa6-72b2-b4df-ecd9dbdee926"}, statements: []statement{st}}
	s := r.script("tenant-1", 4)
	require.Contains(t, s.text, "unnest(ARRAY["+newUUID+"::uuid]::uuid[]), unnest(ARRAY["+newTicket+"]::text[]), unnest(ARRAY[replace(")
	require.Contains(t, s.text, "unnest(:p0_4::text[])")
	require.Contains(t, s.values, "p0_4={received}")
}
