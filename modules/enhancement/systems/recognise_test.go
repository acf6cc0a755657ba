package systems

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestRecognise(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		// IPv4
		"ping 10.2.3.4 fails":                        {"address 10.2.3.4"},
		"10.2.3.4":                                   {"address 10.2.3.4"},
		"The server is 10.2.3.4.":                    {"address 10.2.3.4"},
		"(10.2.3.4), [192.168.1.1]; '172.16.0.9'":    {"address 10.2.3.4", "address 192.168.1.1", "address 172.16.0.9"},
		"http://10.2.3.4:8080/login":                 {"address 10.2.3.4"},
		`cannot open \\10.2.3.4\share`:               {"address 10.2.3.4"},
		"root@10.2.3.4":                              {"address 10.2.3.4"},
		"10.2.3.4:443 refused":                       {"address 10.2.3.4"},
		"10.2.3.4/10.2.3.5":                          {"address 10.2.3.4", "address 10.2.3.5"},
		"range 10.2.3.4-10.2.3.9":                    {"address 10.2.3.4", "address 10.2.3.9"},
		"range 10.2.3.4–10.2.3.9":                    {"address 10.2.3.4", "address 10.2.3.9"},
		"srv01/10.2.3.4:8080":                        {"name srv01", "address 10.2.3.4"},
		"It is 10.2.3.4.Please help":                 {"address 10.2.3.4"},
		"IP:10.2.3.4":                                {"address 10.2.3.4"},
		"IP=10.2.3.4, again 10.2.3.4":                {"address 10.2.3.4"},
		"Adresse\u00a010.2.3.4\u00a0antwortet nicht": {"address 10.2.3.4"},
		"firmware 7.0.1.2 on 10.2.3.4":               {"address 10.2.3.4"},
		"127.0.0.1":                                  {"address 127.0.0.1"},
		"client 10.2.3.4 was updated from 10.2.3.5":  {"address 10.2.3.4", "address 10.2.3.5"},
		"10.2.3.4/443":                               {"address 10.2.3.4"},
		"10.2.3.4/index.html":                        {"address 10.2.3.4"},

		// What only looks like IPv4
		"999.999.999.999":                      nil,
		"256.1.1.1":                            nil,
		"10.4.2":                               nil,
		"1.2.3.4.5":                            nil,
		"010.002.003.004":                      nil,
		"v1.2.3.4":                             nil,
		"v 1.2.3.4":                            nil,
		"Version 1.2.3.4":                      nil,
		"Version: 1.2.3.4":                     nil,
		"version is 1.2.3.4":                   nil,
		"Version 10.0.19045.3803":              nil,
		"version 1.2.3.4 to 1.2.3.5":           nil,
		"upgraded from 1.2.3.4 to 1.2.3.5":     nil,
		"FileVersion=1.2.3.4 ":                 nil,
		"firmware 7.0.1.2":                     nil,
		"Treiber 31.0.15.4":                    nil,
		"build 10.0.1.2":                       nil,
		"Release-Nr. 4.5.6.7":                  nil,
		"Chrome 120.0.6099.130":                nil,
		"1.2.3.4-rc1":                          nil,
		"1.2.3.4+build7":                       nil,
		"nginx-1.18.0.1":                       nil,
		"setup_1.2.3.4.exe":                    nil,
		"libfoo-1.2.3.4.tar.gz":                nil,
		`C:\Program Files\App\1.2.3.4\app.exe`: nil,
		"/opt/app/1.2.3.4/bin":                 nil,
		"OID 1.3.6.1":                          nil,
		"OID 1.3.6.1.4.1.2021":                 nil,
		".1.3.6.1":                             nil,
		"section 4.2.1.3":                      nil,
		"Kapitel 4.2.1.3":                      nil,
		"4.3.2.10.in-addr.arpa":                nil,
		"mask 255.255.255.0":                   nil,
		"0.0.0.0":                              nil,
		"0.9.8.1":                              nil,
		"at 10:42:17 on 23.11.2026":            nil,
		"12.10.2023 10:42":                     nil,
		"1.234.567,89":                         nil,

		// Networks
		"subnet 10.2.3.0/24 is down": {"network 10.2.3.0/24"},
		"10.2.3.5/24":                {"address 10.2.3.5"},
		"10.2.3.5/32":                {"address 10.2.3.5"},
		"0.0.0.0/0":                  nil,
		"10.0.0.0/8, 2001:db8::/32.": {"network 10.0.0.0/8", "network 2001:db8::/32"},
		"fe80::1/64":                 {"address fe80::1"},

		// IPv6
		"2001:db8::1": {"address 2001:db8::1"},
		"2001:0DB8:0000:0000:0000:0000:0000:0001": {"address 2001:db8::1"},
		"host 2001:db8::1.":                       {"address 2001:db8::1"},
		"host 2001:db8::1: no answer":             {"address 2001:db8::1"},
		"fe80::1%eth0 answers":                    {"address fe80::1"},
		"fe80::a00:27ff:fe4e:66a1%12":             {"address fe80::a00:27ff:fe4e:66a1"},
		"[2001:db8::1]:443":                       {"address 2001:db8::1"},
		"https://[2001:db8::1]:443/x":             {"address 2001:db8::1"},
		"[fe80::1%25eth0]":                        {"address fe80::1"},
		"::ffff:10.2.3.4":                         {"address 10.2.3.4"},
		"::ffff:10.2.3.4 and 10.2.3.4":            {"address 10.2.3.4"},
		"::1":                                     {"address ::1"},
		"fd12:3456:789a::7":                       {"address fd12:3456:789a::7"},
		"[IPv6:2001:db8::1]":                      {"address 2001:db8::1"},
		"addr:2001:db8::1":                        {"address 2001:db8::1"},
		"2001:db8:::1":                            nil,
		"std::vector":                             nil,
		"Foo::Bar::1":                             nil,
		"std::abs and dead::beef":                 nil,
		"12::30":                                  nil,
		"::":                                      nil,
		"10:42:17":                                nil,
		"10:42:17.123":                            nil,
		"a:b:c":                                   nil,
		"ratio 1:2:3:4:5:6:7:8":                   nil,
		"50:06:01:60:c7:e0:12:34":                 nil, // a WWN
		"SHA1 12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc:de:f0:12:34:56:78": nil,

		// MAC
		"00:1A:2b:3c:4d:5e":                    {"mac 00:1a:2b:3c:4d:5e"},
		"00-1A-2B-3C-4D-5E.":                   {"mac 00:1a:2b:3c:4d:5e"},
		"MAC 001a.2b3c.4d5e on Gi0/1":          {"mac 00:1a:2b:3c:4d:5e"},
		"ff:ff:ff:ff:ff:ff":                    nil,
		"1234.5678.9012":                       nil,
		"00:1a:2b:3c:4d":                       nil,
		"6fa459ea-ee8a-3ca4-894e-db77e160355e": nil,
		"00-1A-2B-3C-4D-5E-6F":                 nil,

		// Names
		"FS-01 is down": {"name fs-01"},
		"Is FS-01, (hc-fs-01) or \"DC-02\" down?": {"name fs-01", "name hc-fs-01", "name dc-02"},
		`\\FS-01\share`:                                 {"name fs-01"},
		"FS\u201101":                                    {"name fs-01"},
		"SRV02 and srvapp02":                            {"name srv02", "name srvapp02"},
		"srv-app02.corp.example":                        {"name srv-app02.corp.example"},
		"SRV-APP02.CORP.EXAMPLE.":                       {"name srv-app02.corp.example"},
		"https://portal.corp.example/x":                 {"name portal.corp.example"},
		"www.google.com":                                {"name www.google.com"},
		"printer3.local":                                {"name printer3.local"},
		"mail to anna@corp.example":                     nil,
		"mail to anna@mail-01.corp.example":             nil,
		"fs-01@corp.example":                            nil,
		"0x80070035":                                    nil,
		"error 0x80070035 and KB5034441, CVE-2024-1234": nil,
		"UTF-8, SHA-256, ISO-9001, COVID-19, RS-232":    nil,
		"Windows 10, Win10, Office365, O365, x86-64":    nil,
		"INC-4711 REQ-12 T-4711 Q3-2024":                nil,
		"see setup.exe, readme.md and node.js":          nil,
		"System.IO.FileNotFoundException":               nil,
		"System.Net.Http":                               nil,
		"java.lang.NullPointerException":                nil,
		"e.g. the well-known one":                       nil,
		"10.4.2-beta":                                   nil,
		"google.com":                                    nil,
		"2023-11-23T10:42:17Z":                          nil,
		"":                                              nil,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, m := range Recognise(text) {
				got = append(got, string(m.Kind)+" "+m.Key)
			}
			require.Equal(t, want, got)
		})
	}
}

func TestRecogniseKeepsTextAndOffset(t *testing.T) {
	t.Parallel()
	text := "Über fe80::1%eth0 und 10.2.3.5/24, FS-01."
	mentions := Recognise(text)
	require.Len(t, mentions, 3)
	require.Equal(t, []string{"fe80::1%eth0", "10.2.3.5/24", "FS-01"},
		[]string{mentions[0].Text, mentions[1].Text, mentions[2].Text})
	require.Equal(t, netip.MustParsePrefix("10.2.3.5/32"), mentions[1].Prefix)
	for _, m := range mentions {
		require.Equal(t, m.Text, text[m.Offset:m.end()])
	}
}

// The longest text that a look-up reads takes well under a second; a quadratic scan would take minutes.
func TestRecogniseLongTexts(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"1.", "::", "version 1.2.3.4 to ", "fe80::1%"} {
		start := time.Now()
		Recognise(strings.Repeat(part, maxTextBytes/len(part)))
		require.Less(t, time.Since(start), 30*time.Second, part)
	}
}

func FuzzRecognise(f *testing.F) {
	for _, seed := range []string{
		"ping 10.2.3.4:443, 10.2.3.0/24", "fe80::1%eth0 [2001:db8::1]:443 ::ffff:10.2.3.4", "00-1A-2B-3C-4D-5E 001a.2b3c.4d5e",
		"FS-01.corp.example, \\\\fs-01\\x", "v1.2.3.4 version 1.2.3.4 to 1.2.3.5", "::", "a@b.example", "1.2.3.4/", "fe80::1%", ":.:.:", "\xff1.2.3.4\xff", "FS\u201101",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		seen := map[string]bool{}
		for _, m := range Recognise(text) {
			require.GreaterOrEqual(t, m.Offset, end, "mentions overlap")
			end = m.end()
			require.Equal(t, m.Text, text[m.Offset:end])
			require.False(t, seen[m.Key], "key twice")
			seen[m.Key] = true
			switch m.Kind {
			case Address:
				require.Equal(t, m.Key, netip.MustParseAddr(m.Key).String())
				require.True(t, m.Prefix.IsSingleIP())
			case Network:
				require.Equal(t, m.Prefix, netip.MustParsePrefix(m.Key).Masked())
			case MAC:
				require.Equal(t, m.Key, macKey(m.Text))
			case Name:
				require.True(t, utf8.ValidString(m.Text))
				require.NotContains(t, m.Key, " ")
			}
		}
	})
}
