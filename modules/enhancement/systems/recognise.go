package systems

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind tells what a mention is.
type Kind string

// The kinds of mentions.
const (
	Address Kind = "address" // IPv4 or IPv6
	Network Kind = "network" // CIDR with all host bits zero
	MAC     Kind = "mac"
	Name    Kind = "name" // something that looks like a host name or an FQDN
)

// Mention is one system as a text names it.
type Mention struct {
	Kind Kind
	// Text is the mention as written, with a zone or a mask if there is one.
	Text string
	// Key is the canonical form: "10.2.3.4" (IPv4-mapped IPv6 too), "fe80::1" (no zone), "10.2.3.0/24",
	// "00:1a:2b:3c:4d:5e", "fs-01.corp.example" (lower case).
	Key string
	// Prefix is the address (full length) or the network; invalid for MAC and Name.
	Prefix netip.Prefix
	// Offset is where Text begins, in bytes.
	Offset int
}

func (m Mention) end() int { return m.Offset + len(m.Text) }

// Recognise finds every address, network, MAC address and host name in the text, in order, each key once.
func Recognise(text string) []Mention {
	mentions, _ := scan(text)
	return mentions
}

// scan also returns all words of the text, which only the inventory can tell to be host names or not.
func scan(text string) ([]Mention, []word) {
	s := scanner{text: text, taken: make([]bool, len(text))}
	s.colonRuns()
	s.macs()
	s.dottedQuads()
	slices.SortFunc(s.found, func(a, b Mention) int { return cmp.Compare(a.Offset, b.Offset) })
	words := wordsOf(text, s.found)
	for _, w := range words {
		if w.hostLike {
			s.found = append(s.found, Mention{Kind: Name, Text: w.text, Key: w.key, Offset: w.offset})
		}
	}
	slices.SortFunc(s.found, func(a, b Mention) int { return cmp.Compare(a.Offset, b.Offset) })
	seen := map[string]bool{}
	return slices.DeleteFunc(s.found, func(m Mention) bool {
		known := seen[m.Key]
		seen[m.Key] = true
		return known
	}), words
}

type scanner struct {
	text  string
	found []Mention
	taken []bool // the bytes of the text that are part of a mention
}

// add takes the mention unless a part of it is taken already, such as by the zone of an address.
func (s *scanner) add(m Mention) {
	if slices.Contains(s.taken[m.Offset:m.end()], true) {
		return
	}
	for i := m.Offset; i < m.end(); i++ {
		s.taken[i] = true
	}
	s.found = append(s.found, m)
}

var (
	colonRun   = regexp.MustCompile(`[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*`)
	zone       = regexp.MustCompile(`^%[0-9A-Za-z][0-9A-Za-z_.~-]*`)
	mask       = regexp.MustCompile(`^/([0-9]{1,3})`)
	hyphenMAC  = regexp.MustCompile(`[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2})+`)
	ciscoMAC   = regexp.MustCompile(`[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}`)
	dottedRun  = regexp.MustCompile(`[0-9]+(?:\.[0-9]+)+`)
	prerelease = regexp.MustCompile(`(?i)^-(?:alpha|beta|rc|dev|pre|preview|snapshot|build|release|final|ga|sp|hotfix|ubuntu|deb|el)(?:[^a-z]|$)`)
)

// v6Ranges are the parts of the IPv6 space that hosts can have. Everything else with two colons is code, a time or prose.
var v6Ranges = []netip.Prefix{
	netip.MustParsePrefix("2000::/3"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("ff00::/8"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("::ffff:0:0/96"),
}

// colonRuns finds IPv6 addresses and networks and MAC addresses written with colons.
func (s *scanner) colonRuns() {
	for _, span := range colonRun.FindAllStringIndex(s.text, -1) {
		start, end := span[0], span[1]
		if wordBefore(s.text, start) {
			// "IPv6:2001:db8::1": the run has taken the tail of the word before it.
			start += strings.IndexByte(s.text[start:end], ':') + 1
		} else if s.text[start] == ':' && !strings.HasPrefix(s.text[start:end], "::") {
			start++
		}
		for end > start && (s.text[end-1] == '.' || s.text[end-1] == ':' && !strings.HasSuffix(s.text[start:end], "::")) {
			end--
		}
		if end <= start {
			continue
		}
		if groups := octets(s.text[start:end], ":"); groups > 0 {
			// Six octets are a MAC address; more are a fingerprint or a WWN, even where they would parse as IPv6.
			if groups == 6 && !wordAfter(s.text, end) {
				s.addMAC(start, end)
			}
			continue
		}
		s.ipv6(start, end)
	}
}

func (s *scanner) ipv6(start, end int) {
	addr, err := netip.ParseAddr(s.text[start:end])
	if err != nil || !addr.Is6() || wordAfter(s.text, end) || !strings.ContainsAny(s.text[start:end], "0123456789") {
		return
	}
	if !slices.ContainsFunc(v6Ranges, func(p netip.Prefix) bool { return p.Contains(addr) || p.Addr().Is4In6() && addr.Is4In6() }) {
		return
	}
	if z := zone.FindString(s.text[end:]); z != "" {
		end += len(strings.TrimRight(z, ".-~"))
	}
	s.addAddress(start, end, addr, 128)
}

// octets returns the number of groups if all groups of the run are two hex digits, else 0.
func octets(run, separator string) int {
	groups := strings.Split(run, separator)
	if len(groups) < 6 {
		return 0
	}
	for _, g := range groups {
		if len(g) != 2 {
			return 0
		}
	}
	return len(groups)
}

// macs finds MAC addresses written as 00-1A-2B-3C-4D-5E and 001a.2b3c.4d5e.
func (s *scanner) macs() {
	for _, span := range hyphenMAC.FindAllStringIndex(s.text, -1) {
		if octets(s.text[span[0]:span[1]], "-") == 6 && !joined(s.text, span[0], span[1]) {
			s.addMAC(span[0], span[1])
		}
	}
	for _, span := range ciscoMAC.FindAllStringIndex(s.text, -1) {
		run := s.text[span[0]:span[1]]
		// Digits alone are more often a number than an address, except for the vendors that begin with 00.
		if strings.ContainsAny(run, "abcdefABCDEF") || strings.HasPrefix(run, "00") {
			if !joined(s.text, span[0], span[1]) && !strings.HasSuffix(s.text[:span[0]], ".") && !dotThenWord(s.text[span[1]:]) {
				s.addMAC(span[0], span[1])
			}
		}
	}
}

func (s *scanner) addMAC(start, end int) {
	key := macKey(s.text[start:end])
	if key == "00:00:00:00:00:00" || key == "ff:ff:ff:ff:ff:ff" {
		return
	}
	s.add(Mention{Kind: MAC, Text: s.text[start:end], Key: key, Offset: start})
}

// macKey is the canonical form of a MAC address in any notation, or "" when it is none.
func macKey(text string) string {
	digits := strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(strings.TrimSpace(text)))
	if len(digits) != 12 || strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}
	var b strings.Builder
	for i := 0; i < 12; i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(digits[i : i+2])
	}
	return b.String()
}

// dottedQuads finds IPv4 addresses and networks, and tells them from version numbers and other dotted numbers.
func (s *scanner) dottedQuads() {
	versionEnd := -1
	for _, span := range dottedRun.FindAllStringIndex(s.text, -1) {
		start, end := span[0], span[1]
		addr, err := netip.ParseAddr(s.text[start:end])
		if err != nil || s.taken[start] || partOfOther(s.text, start, end) {
			continue
		}
		if versionBefore(s.text, start) || (versionEnd >= 0 && versionChain.MatchString(s.text[versionEnd:start])) {
			versionEnd = end
			continue
		}
		// 0.0.0.0/8 holds no host; above the multicast range come netmasks and the broadcast address.
		if first := addr.As4()[0]; first == 0 || first >= 240 {
			continue
		}
		s.addAddress(start, end, addr, 32)
	}
}

// addAddress adds an address, or the network when a mask follows and all host bits are zero: "10.2.3.5/24" is a host with
// its mask, "10.2.3.0/24" a network.
func (s *scanner) addAddress(start, end int, addr netip.Addr, bits int) {
	m := Mention{Kind: Address, Offset: start, Prefix: fullPrefix(addr)}
	if found := mask.FindStringSubmatch(s.text[end:]); found != nil && !wordAfter(s.text, end+len(found[0])) && !dotThenWord(s.text[end+len(found[0]):]) {
		if n, err := strconv.Atoi(found[1]); err == nil && n > 0 && n <= bits {
			if p := netip.PrefixFrom(addr.WithZone(""), n); p.Masked() == p && n < bits && !addr.Is4In6() {
				m.Kind, m.Prefix = Network, p
			}
			end += len(found[0])
		}
	}
	m.Text, m.Key = s.text[start:end], keyOf(m.Prefix)
	s.add(m)
}

// fullPrefix is the address alone, without zone, as IPv4 where it is one.
func fullPrefix(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	return netip.PrefixFrom(addr, addr.BitLen())
}

func keyOf(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func runeBefore(text string, at int) rune {
	r, _ := utf8.DecodeLastRuneInString(text[:at])
	return r
}

func runeAfter(text string, at int) rune {
	r, _ := utf8.DecodeRuneInString(text[at:])
	return r
}

func isWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func wordBefore(text string, at int) bool { return isWord(runeBefore(text, at)) }
func wordAfter(text string, at int) bool  { return isWord(runeAfter(text, at)) }

// joined reports whether the span is only a part of a longer word.
func joined(text string, start, end int) bool {
	return wordBefore(text, start) || wordAfter(text, end) ||
		runeBefore(text, start) == '-' || runeAfter(text, end) == '-'
}

// dotThenWord reports whether the rest goes on like a domain or a longer number. A full stop before a capital is a full stop.
func dotThenWord(rest string) bool {
	if !strings.HasPrefix(rest, ".") {
		return false
	}
	r := runeAfter(rest, 1)
	return isWord(r) && !unicode.IsUpper(r)
}
