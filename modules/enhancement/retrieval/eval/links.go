package eval

import (
	"regexp"
	"slices"
	"strings"

	"aiagents/modules/enhancement/retrieval"
)

// Links says by what signs tickets of a history were taken to have the same cause.
type Links struct {
	// Tags are tags such as duplicate-of:4711, References resolutions that name another ticket of the history.
	Tags       int `json:"tags"`
	References int `json:"references"`
	// Proxies says that these were too few, and that the tickets counted below were taken for linked as well: those solved in
	// the same words as another, and those with the same two or more tags as another.
	Proxies        bool `json:"proxies"`
	SameResolution int  `json:"same_resolution"`
	SameTags       int  `json:"same_tags"`
}

const (
	// cannedAt is how many tickets at most may share a resolution or tags: more are a desk's set phrase or its usual topic.
	cannedAt = 10
	// plainNumber is how long an id of digits alone must be to be believed without a word such as "ticket" before it.
	plainNumber = 5
)

var (
	linkTag   = regexp.MustCompile(`(?i)^(?:duplicate|duplicate[-_ ]of|dup|linked|linked[-_ ]to|merged|merged[-_ ]into|related|parent)\s*[:=#]\s*(\S+)$`)
	reference = regexp.MustCompile(`(?i)((?:#|ticket|request|incident|case|duplicate of|same as|see|anfrage|demande|solicitud)\s*#?\s*)?([\p{L}\p{N}][\p{L}\p{N}._:-]*)`)
	spaces    = regexp.MustCompile(`[\s\p{P}]+`)
)

// groups joins the tickets of a history that have the same cause as far as the desk's own people have left signs of it: an
// explicit tag, or a resolution that names another ticket. Where these make too few groups, proxies join more. They are
// weaker: neither is part of what is searched, but the same words or tags do not always mean the same cause.
func groups(history []retrieval.Past, enough int) ([][]int, Links) {
	set, links := newDisjoint(len(history)), Links{}
	byID := make(map[string]int, len(history))
	for i, past := range history {
		byID[past.TicketID] = i
	}
	for i, past := range history {
		links.Tags += joinNamed(set, byID, i, taggedIDs(past.Tags))
		links.References += joinNamed(set, byID, i, referredIDs(past.Resolution))
	}
	if joined := set.groups(); len(joined) >= enough {
		return joined, links
	}
	links.Proxies = true
	links.SameResolution = joinEqual(set, history, func(p retrieval.Past) string {
		return strings.ToLower(strings.TrimSpace(spaces.ReplaceAllString(p.Resolution, " ")))
	})
	links.SameTags = joinEqual(set, history, func(p retrieval.Past) string {
		if len(p.Tags) < 2 {
			return ""
		}
		return strings.ToLower(strings.Join(slices.Sorted(slices.Values(p.Tags)), ";"))
	})
	return set.groups(), links
}

// joinEqual joins the tickets with the same key, unless very many have it, and counts them.
func joinEqual(set disjoint, history []retrieval.Past, key func(retrieval.Past) string) (joined int) {
	byKey := map[string][]int{}
	for i, past := range history {
		if k := key(past); k != "" {
			byKey[k] = append(byKey[k], i)
		}
	}
	for _, same := range byKey {
		if len(same) < 2 || len(same) > cannedAt {
			continue
		}
		joined += len(same)
		for _, i := range same[1:] {
			set.join(same[0], i)
		}
	}
	return joined
}

func joinNamed(set disjoint, byID map[string]int, i int, ids []string) (joined int) {
	for _, id := range ids {
		if j, ok := byID[id]; ok && j != i {
			set.join(i, j)
			joined++
		}
	}
	return joined
}

func taggedIDs(tags []string) []string {
	var ids []string
	for _, tag := range tags {
		if m := linkTag.FindStringSubmatch(tag); m != nil {
			ids = append(ids, m[1])
		}
	}
	return ids
}

// referredIDs are what in a text could be a ticket's id. A short number needs a word before it: "3 users" is no ticket.
func referredIDs(text string) []string {
	var ids []string
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		id := strings.TrimRight(m[2], ".-_:")
		digits := len(id) - len(strings.TrimRight(id, "0123456789"))
		if digits > 0 && (m[1] != "" || digits < len(id) || digits >= plainNumber) {
			ids = append(ids, id)
		}
	}
	return ids
}

// disjoint is a forest: each element points to its parent, a root to itself.
type disjoint []int

func newDisjoint(n int) disjoint {
	d := make(disjoint, n)
	for i := range d {
		d[i] = i
	}
	return d
}

func (d disjoint) root(i int) int {
	for d[i] != i {
		d[i] = d[d[i]]
		i = d[i]
	}
	return i
}

func (d disjoint) join(i, j int) { d[d.root(i)] = d.root(j) }

// groups are the sets of two or more, in the order of their first member.
func (d disjoint) groups() [][]int {
	members := map[int][]int{}
	for i := range d {
		members[d.root(i)] = append(members[d.root(i)], i)
	}
	var joined [][]int
	for _, m := range members {
		if len(m) > 1 {
			joined = append(joined, m)
		}
	}
	slices.SortFunc(joined, func(a, b []int) int { return a[0] - b[0] })
	return joined
}
