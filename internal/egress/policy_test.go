package egress

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

// onPremises is a policy of an operator whose desks live in 10.20.0.0/16 and one IPv6 range, and who was careless once.
var onPremises = Policy{AllowCIDRs: []netip.Prefix{
	netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("fd12:3456::/32"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("::/0"),
}}

func TestAddressesAreJudgedByTheirKind(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]struct{ strict, careless bool }{
		"93.184.215.14":          {true, true},
		"2606:2800:21f:cb07::1":  {true, true},
		"10.20.1.5":              {false, true},
		"::ffff:10.20.1.5":       {false, true}, // mapped: judged as the IPv4 address it is
		"10.21.1.5":              {false, false},
		"172.16.0.1":             {false, false},
		"192.168.1.10":           {false, false},
		"100.64.1.1":             {false, true},
		"fd12:3456::10":          {false, true},
		"127.0.0.1":              {false, false},
		"127.255.255.254":        {false, false},
		"::1":                    {false, false},
		"::ffff:127.0.0.1":       {false, false},
		"0.0.0.0":                {false, false},
		"::":                     {false, false},
		"169.254.169.254":        {false, false},
		"::ffff:169.254.169.254": {false, false},
		"169.254.170.2":          {false, false},
		"169.254.1.1":            {false, false},
		"100.100.100.200":        {false, false},
		"168.63.129.16":          {false, false},
		"192.0.0.192":            {false, false},
		"fd00:ec2::254":          {false, false},
		"fd00:ec2::23":           {false, false},
		"fe80::1":                {false, false},
		"64:ff9b::a9fe:a9fe":     {false, false}, // NAT64 of 169.254.169.254
		"64:ff9b:1::7f00:1":      {false, false},
		"2002:7f00:1::":          {false, false}, // 6to4 of 127.0.0.1
		"2001:0:7f00:1::":        {false, false}, // Teredo
		"::7f00:1":               {false, false}, // compatible form of 127.0.0.1
		"::ffff:0:7f00:1":        {false, false}, // translated form of 127.0.0.1
		"224.0.0.1":              {false, false},
		"255.255.255.255":        {false, false},
		"240.0.0.1":              {false, false},
		"ff02::1":                {false, false},
		"198.18.0.1":             {false, false},
		"fd20:ce::254":           {false, false},
		"2001:db8::1":            {false, true}, // allowed by ::/0 alone, which shows that the list is used
		"3fff::1":                {false, true},
		"::ffff:93.184.215.14":   {true, true},
	} {
		ip := netip.MustParseAddr(addr)
		require.Equal(t, want.strict, Policy{}.check(ip) == nil, "strict: %s", addr)
		require.Equal(t, want.careless, onPremises.check(ip) == nil, "careless: %s", addr)
	}
}

func TestTheRefusalOfAPrivateAddressNamesTheWayOut(t *testing.T) {
	t.Parallel()
	err := Policy{}.check(netip.MustParseAddr("10.1.2.3"))
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, AllowSetting)
	err = Policy{}.check(netip.MustParseAddr("169.254.169.254"))
	require.ErrorContains(t, err, "metadata")
	require.NotContains(t, err.Error(), AllowSetting, "there is no way out of this one")
}

func TestLoopbackIsForDevelopmentOnly(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		require.NoError(t, Policy{AllowLoopback: true}.check(netip.MustParseAddr(addr)))
		require.ErrorIs(t, Policy{}.check(netip.MustParseAddr(addr)), ErrRefused)
	}
	require.Error(t, Policy{AllowLoopback: true}.check(netip.MustParseAddr("0.0.0.0")))
}

func TestOnlyTCPIsDialled(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, Policy{}.control("udp4", "93.184.215.14:443", nil), ErrRefused)
	require.ErrorIs(t, Policy{}.control("tcp4", "nonsense", nil), ErrRefused)
	require.NoError(t, Policy{}.control("tcp4", "93.184.215.14:443", nil))
}

// badURLs are refused in production and good ones are not; the text must be part of the reason.
var badURLs = map[string]string{
	"":                                     "scheme",
	"desk.example.com":                     "scheme",
	"//desk.example.com":                   "scheme",
	"http://desk.example.com":              "use https",
	"ftp://desk.example.com":               "scheme",
	"file:///etc/passwd":                   "scheme",
	"gopher://desk.example.com":            "scheme",
	"javascript:alert(1)":                  "cannot be read",
	"https:desk.example.com":               "cannot be read",
	"https://":                             "no host",
	"https://:8443":                        "no host",
	"https://user@desk.example.com":        "credentials",
	"https://user:pw@desk.example.com":     "credentials",
	"https://desk.example.com@10.0.0.1":    "credentials",
	"https://desk.example.com:0":           "port",
	"https://desk.example.com:70000":       "port",
	"https://desk.example.com:":            "port",
	"https://desk.example.com:x":           "cannot be read",
	"https://desk.example.com?x=1":         "query",
	"https://desk.example.com/?":           "query",
	"https://desk.example.com/#f":          "query",
	"https://desk.example.com\\@10.0.0.1":  "cannot be read",
	"https://desk .example.com":            "cannot be read",
	"https://desk.example.com\t":           "cannot be read",
	"https://desk.example.com\r\nX: y":     "cannot be read",
	"https://%31%32%37.0.0.1":              "cannot be read",
	"https://10.0.0.1":                     AllowSetting,
	"https://10.0.0.1:8443/app/it":         AllowSetting,
	"https://172.31.255.255":               AllowSetting,
	"https://192.168.0.10":                 AllowSetting,
	"https://100.64.0.1":                   AllowSetting,
	"https://[fd12::1]":                    AllowSetting,
	"https://127.0.0.1":                    "this machine",
	"https://127.1":                        "usual form",
	"https://2130706433":                   "usual form",
	"https://0x7f000001":                   "usual form",
	"https://0x7f.0.0.1":                   "usual form",
	"https://0177.0.0.1":                   "usual form",
	"https://127.0.0.1.":                   "usual form",
	"https://10.0.0.0x1":                   "usual form",
	"https://[::1]":                        "this machine",
	"https://[::]":                         "unspecified",
	"https://0.0.0.0":                      "unspecified",
	"https://0":                            "usual form",
	"https://[::ffff:127.0.0.1]":           "this machine",
	"https://[::ffff:7f00:1]":              "this machine",
	"https://[::127.0.0.1]":                "hides",
	"https://[64:ff9b::169.254.169.254]":   "hides",
	"https://[2002:a9fe:a9fe::]":           "hides",
	"https://[fe80::1%25eth0]":             "zone",
	"https://169.254.169.254/latest":       "metadata",
	"https://[::ffff:169.254.169.254]":     "metadata",
	"https://[fd00:ec2::254]":              "metadata",
	"https://100.100.100.200":              "metadata",
	"https://168.63.129.16":                "metadata",
	"https://metadata.google.internal":     "metadata",
	"https://METADATA.google.internal.":    "metadata",
	"https://localhost":                    "localhost",
	"https://LOCALHOST:8443":               "localhost",
	"https://desk.localhost":               "localhost",
	"https://localhost.":                   "localhost",
	"https://①②⑦.⓪.⓪.①":                    "xn--",
	"https://ｌocalhost":                    "xn--",
	"https://desk。example.com":             "xn--",
	"https://desk..example.com":            "empty part",
	"https://.example.com":                 "empty part",
	"https://.":                            "empty part",
	"https://desk!.example.com":            "character",
	"https://desk.example.com,10.0.0.1":    "character",
	"https://[::1":                         "cannot be read",
	"https://[10.0.0.1]":                   "",
	"https://224.0.0.251":                  "multicast",
	"https://255.255.255.255":              "reserved",
	"https://%zz.example.com":              "cannot be read",
	"https://desk.example.com%00.evil.com": "",
}

func TestURLsThatAreRefusedWhenATenantIsCreated(t *testing.T) {
	t.Parallel()
	g, err := New(Policy{})
	require.NoError(t, err)
	for url, why := range badURLs {
		err := g.CheckURL(url)
		require.Error(t, err, url)
		require.True(t, fault.Is(err, fault.Invalid), url)
		require.ErrorContains(t, err, why, url)
	}
	for _, url := range []string{
		"https://desk.example.com", "https://desk.example.com:8443", "https://desk.example.com/app/itdesk", "https://desk.example.com./",
		"https://xn--dsk-bla.example.com", "https://93.184.215.14", "https://[2606:2800:21f:cb07::1]:8443", "https://sd_desk.example.com",
	} {
		require.NoError(t, g.CheckURL(url), url)
	}
}

func TestDevelopmentMayUseLocalhostOverHTTP(t *testing.T) {
	t.Parallel()
	g, err := New(Policy{AllowHTTP: true, AllowLoopback: true})
	require.NoError(t, err)
	for _, url := range []string{"http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"} {
		require.NoError(t, g.CheckURL(url), url)
	}
	require.Error(t, g.CheckURL("http://10.0.0.1"))
}
