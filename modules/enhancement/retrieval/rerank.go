package retrieval

import (
	"math"
	"slices"
	"unicode"
)

// The second step orders the best candidates of the first by what BM25 does not see. It knows nothing but the candidates, so
// a word's weight here is its rarity among them: what all of them have was the first step's business.

// Features are what the second step knows of one candidate.
type Features struct {
	// Relevance is BM25 as a share of what the query would score against itself, unknown words included.
	Relevance float64 `json:"relevance"`
	// Wording is the likeness of the titles in runs of three letters: it forgives typing errors, inflections and compounds.
	Wording float64 `json:"wording"`
	// Explained is the share of the candidate's title that the query's body has too: one person's summary in another's words.
	Explained float64 `json:"explained"`
	// Commonness is how much of the candidate the others have too. What is like everything is like nothing in particular.
	Commonness float64 `json:"commonness"`
	// Nearness is closeness in time, by ticket number: the same cause comes in bursts.
	Nearness float64 `json:"nearness"`
	// Bursts says, 0 to 1, how far nearness can be trusted in this history.
	Bursts float64 `json:"bursts"`
}

// Weights are what one unit of each feature adds to a rank. docs/retrieval.md has the measurement behind each.
type Weights struct {
	Relevance  float64 `json:"relevance"`
	Wording    float64 `json:"wording"`
	Explained  float64 `json:"explained"`
	Commonness float64 `json:"commonness"`
	Nearness   float64 `json:"nearness"`
}

// DefaultWeights are those that searches use.
func DefaultWeights() Weights {
	return Weights{Relevance: 14.5, Wording: 3, Explained: 3.5, Commonness: -1.5, Nearness: 0.6}
}

var weights = DefaultWeights()

// Rank is the weighted sum of the features.
func (f Features) Rank(w Weights) float64 {
	return w.Relevance*f.Relevance + w.Wording*f.Wording + w.Explained*f.Explained + w.Commonness*f.Commonness +
		w.Nearness*f.Bursts*f.Nearness
}

// candidate is what the second step compares.
type candidate struct {
	documentID int64
	ticketID   string
	number     ticketNumber
	title      []uint64 // runs of three letters
	vector     vector
	ids        []int32   // the number of each term of the vector among the candidates' terms
	profile    []float64 // the weight of each term of the vector, of length one in all
	relevance  float64
}

const (
	// crowded is how many of the candidates, best first, are the crowd that commonness is measured against.
	crowded = 50
	// paired is how many are compared each with each to see whether numbers tell anything.
	paired = 60
)

// compare computes the features of candidates that are sorted by relevance, best first.
func compare(q Query, query vector, candidates []candidate) []Features {
	rarity := weighTerms(candidates)
	wording, common := wordings(trigrams(q.Subject), candidates), commonness(candidates, len(rarity))
	near, bursts := nearness(numberOf(q.ExcludeTicketID), candidates), bursts(candidates, len(rarity))
	features := make([]Features, len(candidates))
	for i, c := range candidates {
		features[i] = Features{
			Relevance: c.relevance, Wording: wording[i], Explained: explained(c, query, rarity),
			Commonness: common[i], Nearness: near[i], Bursts: bursts,
		}
	}
	return features
}

// idf is the inverse document frequency among n candidates.
func idf(n, frequency float64) float64 { return math.Log(1 + (n-frequency+0.5)/(frequency+0.5)) }

// damped is what a term of a whole weight counts: each further occurrence less. A search asks for it thousands of times.
var damped = func() (table [255*titleWeight + 255 + 1]float64) {
	for weight := range table {
		table[weight] = 1 + math.Log(float64(weight))
	}
	return table
}()

// weighTerms numbers the candidates' terms, returns their rarity, and weighs each candidate's terms by it. Tags, which occur in
// neither field, weigh nothing.
func weighTerms(candidates []candidate) (rarity []float64) {
	numbers, n := newNumbering(len(candidates)), float64(len(candidates))
	for i := range candidates {
		c := &candidates[i]
		c.ids, c.profile = make([]int32, len(c.vector)), make([]float64, len(c.vector))
		for j, e := range c.vector {
			id := numbers.of(uint64(e.term))
			if int(id) == len(rarity) {
				rarity = append(rarity, 0)
			}
			c.ids[j] = id
			rarity[id]++
		}
	}
	for id, df := range rarity {
		rarity[id] = idf(n, df)
	}
	for _, c := range candidates {
		sum := 0.0
		for j, e := range c.vector {
			if e.weight() > 0 {
				c.profile[j] = rarity[c.ids[j]] * damped[int(e.weight())]
				sum += c.profile[j] * c.profile[j]
			}
		}
		length := max(math.Sqrt(sum), math.SmallestNonzeroFloat64)
		for j := range c.profile {
			c.profile[j] /= length
		}
	}
	return rarity
}

// explained is the share of a candidate's title, by rarity, that the body of the query has.
func explained(c candidate, query vector, rarity []float64) float64 {
	all, shared, i := 0.0, 0.0, 0
	for j, e := range c.vector {
		if e.title == 0 {
			continue
		}
		weight := rarity[c.ids[j]]
		all += weight
		for i < len(query) && query[i].term < e.term {
			i++
		}
		if i < len(query) && query[i].term == e.term && query[i].body > 0 {
			shared += weight
		}
	}
	return shared / max(all, math.SmallestNonzeroFloat64)
}

// commonness is the likeness of each candidate with the sum of the others at the top, each counted by its relevance.
func commonness(candidates []candidate, terms int) []float64 {
	crowd := make([]float64, terms)
	for _, c := range candidates[:min(crowded, len(candidates))] {
		for j, id := range c.ids {
			crowd[id] += c.relevance * c.profile[j]
		}
	}
	common := make([]float64, len(candidates))
	for n, c := range candidates {
		for j, id := range c.ids {
			common[n] += crowd[id] * c.profile[j]
		}
		if n < crowded {
			common[n] -= c.relevance // its likeness with itself
		}
	}
	return common
}

// trigrams are the distinct runs of three characters of a title, sorted. Everything but letters and digits is a space.
func trigrams(title string) []uint64 {
	runes := []rune{' '}
	for _, r := range fold(title) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			runes = append(runes, r)
		} else if runes[len(runes)-1] != ' ' {
			runes = append(runes, ' ')
		}
	}
	if runes[len(runes)-1] != ' ' {
		runes = append(runes, ' ')
	}
	set := make([]uint64, 0, len(runes))
	for i := 0; i+3 <= len(runes); i++ {
		set = append(set, uint64(runes[i])<<42|uint64(runes[i+1])<<21|uint64(runes[i+2]))
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// wordings are the likenesses of a title with those of the candidates: the cosine of their trigrams, weighed by rarity.
func wordings(title []uint64, candidates []candidate) []float64 {
	n, numbers := float64(len(candidates)), newNumbering(len(candidates))
	ids := make([]int32, 0, 32*len(candidates)) // of all candidates' trigrams, one title after the other
	var rarity []float64
	for _, c := range candidates {
		for _, t := range c.title {
			id := numbers.of(t)
			if int(id) == len(rarity) {
				rarity = append(rarity, 0)
			}
			ids = append(ids, id)
			rarity[id]++
		}
	}
	for id, df := range rarity {
		rarity[id] = idf(n, df)
	}
	own := 0.0
	wanted := make([]bool, len(rarity))
	for _, t := range title {
		w := idf(n, 0)
		if id := int(numbers.of(t)); id < len(rarity) {
			w, wanted[id] = rarity[id], true
		}
		own += w * w
	}
	like := make([]float64, len(candidates))
	for i, c := range candidates {
		all, shared := 0.0, 0.0
		for _, id := range ids[:len(c.title)] {
			w := rarity[id]
			all += w * w
			if wanted[id] {
				shared += w * w
			}
		}
		ids = ids[len(c.title):]
		like[i] = shared / max(math.Sqrt(own*all), math.SmallestNonzeroFloat64)
	}
	return like
}

// nearness compares each candidate's distance in ticket numbers with that of the candidates at large, on a logarithmic
// scale, so that it does not depend on how fast a desk counts. It is 0, neither near nor far, where numbers say nothing.
func nearness(query ticketNumber, candidates []candidate) []float64 {
	near := make([]float64, len(candidates))
	var sum float64
	var known int
	for i, c := range candidates {
		if distance, ok := query.distance(c.number); ok {
			near[i] = math.Log1p(distance)
			sum += near[i]
			known++
		}
	}
	for i, c := range candidates {
		if _, ok := query.distance(c.number); ok {
			near[i] = sum/float64(known) - near[i]
		}
	}
	return near
}

// A history whose numbers carry no time, because an import made them up or two systems were merged, must not be ordered by
// them. Its own candidates tell: where the same troubles come in bursts, a ticket and the one most like it in words are nearer
// in number than two tickets at large, by 1 and more on the logarithmic scale; with random numbers by 0, give or take 0.2.
const (
	burstsFrom = 0.2
	burstsSure = 0.6
)

// bursts says how far the candidates' numbers can be trusted to tell the time.
func bursts(candidates []candidate, terms int) float64 {
	candidates = candidates[:min(paired, len(candidates))]
	closest := make([]struct{ far, others, like, nearest float64 }, len(candidates))
	row := make([]float64, terms)
	for i, a := range candidates {
		for t, id := range a.ids {
			row[id] = a.profile[t]
		}
		for j, b := range candidates[:i] {
			distance, ok := a.number.distance(b.number)
			if !ok {
				continue
			}
			log, like := math.Log1p(distance), 0.0
			for t, id := range b.ids {
				like += row[id] * b.profile[t]
			}
			for _, n := range [2]int{i, j} {
				c := &closest[n]
				c.far, c.others = c.far+log, c.others+1
				if like > c.like {
					c.like, c.nearest = like, log
				}
			}
		}
		for _, id := range a.ids {
			row[id] = 0
		}
	}
	sum, known := 0.0, 0.0
	for _, c := range closest {
		if c.others > 1 && c.like > 0 {
			sum, known = sum+c.far/c.others-c.nearest, known+1
		}
	}
	if known == 0 {
		return 0
	}
	return min(1, max(0, (sum/known-burstsFrom)/(burstsSure-burstsFrom)))
}
