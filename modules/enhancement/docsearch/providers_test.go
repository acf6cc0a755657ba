package docsearch

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

func genericSimulator(body string) *simulator {
	return &simulator{
		header: [2]string{"Authorization", "Bearer " + token},
		routes: map[string]string{"/docs/api/search": body}, params: map[string][]string{"/docs/api/search": {"limit", "query"}},
	}
}

var genericConfig = Config{Kind: "http", Name: "Wiki", BaseURL: "/docs", AuthRef: "token"}

func TestGeneric(t *testing.T) {
	t.Parallel()
	results := `[
		{"id": 7, "title": "VPN <b>setup</b>", "section": "Clients", "content": "<p>Password: Winter2026!</p><p>FortiClient on LT-0815</p>", "url": "/p/7?x=1"},
		{"title": "By address", "excerpt": "vpn", "url": "https://wiki.example/p/8"},
		{"id": "9", "title": "Script", "excerpt": "forticlient", "url": "javascript:alert(1)"},
		{"title": "neither id nor address"}, {"id": "10", "title": " "}]`
	for name, body := range map[string]string{"array": results, "object": `{"results":` + results + `}`} {
		sim := genericSimulator(body)
		found, err := open(t, sim, genericConfig).Search(t.Context(), words)
		require.NoError(t, err, name)
		require.Equal(t, []brief{
			{"VPN setup", "Clients", "Password: •••\nFortiClient on LT-0815", "Wiki", "/docs/p/7?x=1", 0.75},
			{"By address", "", "vpn", "Wiki", "/p/8", 0.25},
			{"Script", "", "forticlient", "Wiki", "/", 0.25},
		}, briefs(t, found), name)
		require.Empty(t, found[2].URL, "only addresses of pages are linked")
		require.Equal(t, "0x80070005 LT-0815 VPN FortiClient", sim.queries[0].Get("query"))
	}
	for _, body := range []string{`{}`, `"x"`, `{"results": 1}`, `not json`} {
		_, err := open(t, genericSimulator(body), genericConfig).Search(t.Context(), words)
		require.True(t, fault.Is(err, fault.Unavailable), body)
	}
}

func TestFailuresAreFaultsWithoutSecrets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		change func(*Config)
		kind   fault.Kind
	}{
		"wrong credential": {0, func(c *Config) { c.AuthRef = "wrong" }, fault.Unauthenticated},
		"wrong place":      {0, func(c *Config) { c.BaseURL = "/elsewhere" }, fault.Invalid},
		"redirect":         {http.StatusFound, nil, fault.Invalid},
		"limited":          {http.StatusTooManyRequests, nil, fault.Limited},
		"fails":            {http.StatusBadGateway, nil, fault.Unavailable},
	} {
		sim, cfg := genericSimulator(`[]`), genericConfig
		sim.status = test.status
		if test.change != nil {
			test.change(&cfg)
		}
		_, err := open(t, sim, cfg).Search(t.Context(), words)
		require.True(t, fault.Is(err, test.kind), "%s: %v", name, err)
		for _, secret := range []string{token, "wr0ng", "0x80070005", "query="} {
			require.NotContains(t, err.Error(), secret, name)
		}
		if test.kind == fault.Limited {
			require.Equal(t, 9*time.Second, fault.RetryAfterOf(err))
		}
	}
	_, err := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `"`+strings.Repeat("x", maxAnswerBytes)+`"`)
	}), genericConfig).Search(t.Context(), words)
	require.ErrorContains(t, err, "larger than 8 MiB")
	_, err = open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), genericConfig).
		Search(t.Context(), words)
	require.True(t, fault.Is(err, fault.Unavailable))
	require.NotContains(t, err.Error(), "query=")
}

const wantCQL = `type = page AND (text ~ "\"0x80070005\"" OR text ~ "\"LT-0815\"" OR text ~ "\"VPN\"" OR text ~ "\"FortiClient\"")`

func TestConfluenceCloud(t *testing.T) {
	t.Parallel()
	sim := &simulator{
		header: [2]string{"Authorization", "Basic cmVhZGVyQGFjbWUuZXhhbXBsZTpzM2NyZXQtdDBrZW4="},
		params: map[string][]string{"/wiki/rest/api/search": {"cql", "excerpt", "limit"}},
		routes: map[string]string{"/wiki/rest/api/search": `{"results":[
			{"content":{"id":"98311","type":"page","title":"VPN"},"title":"@@@hl@@@VPN@@@endhl@@@ guide","excerpt":"Install @@@hl@@@FortiClient@@@endhl@@@ &amp; go","url":"/spaces/IT/pages/98311/VPN"},
			{"title":"A person","url":"/display/~x"}],"_links":{"base":"https://evil.example"}}`},
	}
	for _, base := range []string{"", "/wiki", "/wiki/"} {
		found, err := open(t, sim, Config{Kind: "confluence_cloud", BaseURL: base, AuthRef: "basic"}).Search(t.Context(), words)
		require.NoError(t, err)
		require.Equal(t, []brief{{"VPN guide", "", "Install FortiClient & go", "Confluence", "/wiki/spaces/IT/pages/98311/VPN", 0.5}}, briefs(t, found))
		require.NotContains(t, found[0].URL, "evil")
	}
	require.Equal(t, wantCQL, sim.queries[0].Get("cql"))
}

func TestConfluenceDataCenter(t *testing.T) {
	t.Parallel()
	sim := &simulator{
		header: [2]string{"Authorization", "Bearer " + token},
		params: map[string][]string{"/confluence/rest/api/content/search": {"cql", "expand", "limit"}},
		routes: map[string]string{"/confluence/rest/api/content/search": `{"results":[{"id":"5","type":"page","title":"VPN",
			"body":{"view":{"value":"<h1>General</h1><p>` + strings.Repeat("filler ", 60) + `</p><p>Error <code>0x80070005</code>: reinstall FortiClient</p>"}},
			"_links":{"webui":"/display/IT/VPN"}}]}`},
	}
	found, err := open(t, sim, Config{Kind: "confluence", BaseURL: "/confluence", AuthRef: "token", Spaces: []string{"IT", "~ops"}}).Search(t.Context(), words)
	require.NoError(t, err)
	require.Equal(t, []brief{{"VPN", "", "Error 0x80070005: reinstall FortiClient", "Confluence", "/confluence/display/IT/VPN", 0.75}}, briefs(t, found))
	require.Equal(t, strings.Replace(wantCQL, "page AND", `page AND space in ("IT", "~ops") AND`, 1), sim.queries[0].Get("cql"))
}

func itGlueSimulator() *simulator {
	const list, sections = "/organizations/42/relationships/documents", "/documents/1/relationships/sections"
	return &simulator{
		header: [2]string{"X-Api-Key", token}, accept: "application/vnd.api+json",
		params: map[string][]string{list: {"filter[document_folder_id]", "page[size]"}},
		routes: map[string]string{
			list: `{"data":[
				{"id":"2","type":"documents","attributes":{"name":"Printers","organization-id":42}},
				{"id":"1","type":"documents","attributes":{"name":"VPN with FortiClient","organization-id":42,"resource-url":"https://acme.itglue.com/42/docs/1"}},
				{"id":"3","type":"documents","attributes":{"name":"VPN of another customer","organization-id":43}},
				{"id":"4","type":"documents","attributes":{"name":"VPN, old","organization-id":42,"archived":true}},
				{"id":"../passwords","type":"documents","attributes":{"name":"VPN trick","organization-id":42}}]}`,
			sections: `{"data":[{"id":"9","type":"document-sections","attributes":{"content":"<h2>Codes</h2>"}},
				{"id":"10","type":"document-sections","attributes":{"content":"<p>0x80070005 is a wrong certificate</p>"}}]}`,
		},
	}
}

func TestITGlue(t *testing.T) {
	t.Parallel()
	sim := itGlueSimulator()
	cfg := Config{Kind: "itglue", AuthRef: "token", OrganizationID: "42"}
	want := []brief{{"VPN with FortiClient", "", "Codes\n0x80070005 is a wrong certificate", "IT Glue", "/42/docs/1", 0.75}}
	found, err := open(t, sim, cfg).Search(t.Context(), words)
	require.NoError(t, err)
	require.Equal(t, want, briefs(t, found))
	require.EqualValues(t, 2, sim.calls.Load(), "only what fits by name is read")

	sim = itGlueSimulator()
	sim.params["/organizations/42/relationships/documents"] = []string{"page[size]"}
	found, err = open(t, sim, cfg).Search(t.Context(), words)
	require.NoError(t, err, "an account that refuses the filter is asked without")
	require.Equal(t, want, briefs(t, found))

	cfg.OrganizationID = "43"
	_, err = open(t, sim, cfg).Search(t.Context(), words)
	require.True(t, fault.Is(err, fault.Invalid))
}

func TestHudu(t *testing.T) {
	t.Parallel()
	sim := &simulator{
		header: [2]string{"X-Api-Key", token},
		params: map[string][]string{"/api/v1/articles": {"company_id", "page", "page_size", "search"}},
		routes: map[string]string{"/api/v1/articles": `{"articles":[
			{"id":3,"name":"VPN","content":"<ul><li>Restart FortiClient</li></ul>","company_id":42,"url":"/kba/vpn-3"},
			{"id":4,"name":"VPN of another customer","content":"x","company_id":43,"url":"/kba/4"},
			{"id":5,"name":"VPN of nobody","content":"x","company_id":null,"url":"/kba/5"},
			{"id":6,"name":"VPN draft","content":"x","company_id":42,"draft":true},
			{"id":7,"name":"VPN archived","content":"x","company_id":42,"archived":true}]}`},
	}
	found, err := open(t, sim, Config{Kind: "hudu", AuthRef: "token", CompanyID: "42"}).Search(t.Context(), words)
	require.NoError(t, err)
	require.Equal(t, []brief{{"VPN", "", "Restart FortiClient", "Hudu", "/kba/vpn-3", 0.5}}, briefs(t, found))
	require.Equal(t, []string{"0x80070005"}, sim.queries[0]["search"])
	require.Equal(t, []string{"42"}, sim.queries[0]["company_id"])
	require.Len(t, sim.queries, 3)
}

func TestConfigurationFaultsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	for _, none := range []string{"", "null", "{}"} {
		providers, err := Open([]byte(none), secrets, http.DefaultClient)
		require.NoError(t, err)
		require.Empty(t, providers)
	}
	_, err := Open([]byte(`{"providers":[
		{"kind":"sharepoint","auth_ref":"token"},
		{"kind":"http","base_url":"https://user:pw@docs.example","auth_ref":"token"},
		{"kind":"http","base_url":"ftp://docs.example","auth_ref":"token"},
		{"kind":"http","base_url":"https://docs.example"},
		{"kind":"http","base_url":"https://docs.example","auth_ref":"empty"},
		{"kind":"http","base_url":"https://docs.example","auth_ref":"nope"},
		{"kind":"http","base_url":"https://docs.example","auth_ref":"token","spaces":["IT"]},
		{"kind":"confluence","base_url":"https://docs.example","auth_ref":"token","spaces":["IT\") OR type = page OR space in (\"HR"]},
		{"kind":"confluence_cloud","base_url":"https://acme.atlassian.net","auth_ref":"token"},
		{"kind":"itglue","auth_ref":"token"},
		{"kind":"hudu","base_url":"https://hudu.example","auth_ref":"token","company_id":"4/../5"},
		{"kind":"http","base_url":"https://docs.example","auth_ref":"token","company_id":"4"}
	]}`), secrets, http.DefaultClient)
	require.True(t, fault.Is(err, fault.Invalid))
	for _, want := range []string{
		`documentation.providers[0]: kind "sharepoint"`, "[1]: base_url", "[2]: base_url", "[3]: auth_ref: is missing", `[4]: auth_ref "empty"`,
		`[5]: auth_ref "nope"`, "[6]: spaces", "[7]: spaces", "[8]: auth_ref: must be email:token", "[9]: organization_id", "[10]: company_id", "[11]: organization_id is for itglue",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "user:pw")
	require.NotContains(t, err.Error(), token)
	for _, bad := range []string{`[]`, `{"providers":[{"kind":"http","password":"x"}]}`, `{} {}`} {
		_, err := Open([]byte(bad), secrets, http.DefaultClient)
		require.True(t, fault.Is(err, fault.Invalid), bad)
	}
}
