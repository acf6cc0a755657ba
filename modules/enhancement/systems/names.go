package systems

import (
	"regexp"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// word is a run of letters, digits, dots, hyphens and underscores. Whether it is a host, only the inventory knows.
type word struct {
	text   string
	key    string
	offset int
	// afterAt marks the domain of an e-mail address: a host only if the inventory has exactly that name.
	afterAt bool
	// hostLike marks a word that looks like a host name even to somebody who does not know the tenant.
	hostLike bool
}

var (
	wordRun = regexp.MustCompile(`[\pL\pN_][\pL\pN_.\x{2010}\x{2011}-]*`)
	// plainHyphen undoes what word processors do to host names.
	plainHyphen = strings.NewReplacer("\u2010", "-", "\u2011", "-")

	label     = regexp.MustCompile(`^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$`)
	hyphened  = regexp.MustCompile(`^[a-z][a-z0-9]+(?:[-_][a-z0-9]+)*[-_][a-z]*[0-9]+[a-z]?$`)
	compact   = regexp.MustCompile(`^[A-Z]{2,12}[0-9]{1,5}$|^[A-Za-z]{2,12}0[0-9]{1,4}$`)
	camelCase = regexp.MustCompile(`^[A-Z][a-z]`)
	// notHosts have the form of host names and never are: standards, encodings, ticket and patch numbers, ports, counts.
	notHosts = regexp.MustCompile(`^(?:kb|cve|rfc|iso|iec|din|utf|ucs|sha|md|aes|rsa|tls|ssl|ipv|http|https|smb|usb|rs|cat|rj|x|win|windows|office|o|m|ms|covid|` +
		`inc|req|ritm|chg|prb|task|sr|ticket|case|error|err|fehler|code|id|nr|no|version|ver|rev|step|page|seite|port|vlan|eth|com|lpt|` +
		`room|raum|level|top|part|teil|tag|day|q|h|kw|fy|event|layer|tier|type|typ|phase|option)[-_]?[0-9][0-9a-z]*(?:[-_.][0-9]+)*$`)

	privateTLDs = set("local", "lan", "corp", "internal", "intern", "home", "localdomain", "localnet", "private", "ad", "test", "example", "invalid")
	// fileTLDs are top-level domains that, in tickets, are endings of file names.
	fileTLDs = set("zip", "mov", "md", "py", "sh", "pl", "rs", "cc", "ps", "so", "app", "bz", "cab", "java")
)

func set(items ...string) map[string]bool {
	m := make(map[string]bool, len(items))
	for _, item := range items {
		m[item] = true
	}
	return m
}

// nameKey is the form in which host names are compared: lower case, no trailing dot.
func nameKey(name string) string {
	return strings.ToLower(strings.TrimRight(strings.TrimSpace(name), "."))
}

// shortName is the first label of a key.
func shortName(key string) string {
	short, _, _ := strings.Cut(key, ".")
	return short
}

// wordsOf returns the words of the text outside of the mentions, which are sorted by offset.
func wordsOf(text string, mentions []Mention) []word {
	var words []word
	next := 0
	for _, span := range wordRun.FindAllStringIndex(text, -1) {
		start := span[0]
		raw := strings.TrimRight(text[start:span[1]], ".-_\u2010\u2011")
		end := start + len(raw)
		for next < len(mentions) && mentions[next].end() <= start {
			next++
		}
		if raw == "" || next < len(mentions) && mentions[next].Offset < end {
			continue
		}
		if strings.HasPrefix(text[end:], "@") || len(raw) > 253 {
			continue // the user of an e-mail address, or no name at all
		}
		plain := plainHyphen.Replace(raw)
		w := word{text: raw, key: nameKey(plain), offset: start, afterAt: start > 0 && text[start-1] == '@'}
		w.hostLike = !w.afterAt && looksLikeHost(plain)
		words = append(words, w)
	}
	return words
}

// looksLikeHost knows two forms: a short name with a number, such as FS-01 or SRV02, and a fully qualified name.
func looksLikeHost(name string) bool {
	key := nameKey(name)
	if strings.Contains(key, ".") {
		return looksQualified(name, key)
	}
	return looksShort(name)
}

func looksShort(name string) bool {
	key := nameKey(name)
	if len(key) > 63 || !strings.ContainsAny(name, "0123456789") || notHosts.MatchString(key) {
		return false
	}
	return hyphened.MatchString(key) || compact.MatchString(name)
}

func looksQualified(name, key string) bool {
	labels := strings.Split(key, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return false
		}
	}
	tld := labels[len(labels)-1]
	if tld == "arpa" && !strings.HasSuffix(key, ".home.arpa") {
		return false // an address written backwards
	}
	// "System.IO.Net" is a class, not a host.
	if camelCase.MatchString(name[strings.LastIndexByte(name, '.')+1:]) || fileTLDs[tld] {
		return false
	}
	if privateTLDs[tld] {
		return true
	}
	suffix, icann := publicsuffix.PublicSuffix(key)
	return icann && len(labels) >= 3 && suffix != key
}

// stem is a host name up to its number, "fs-" of "fs-01": hosts of one kind share it. It is empty for names without one.
func stem(key string) string {
	short := shortName(key)
	cut := strings.TrimRight(short, "0123456789")
	if cut == short || len(cut) < 2 {
		return ""
	}
	return cut
}
