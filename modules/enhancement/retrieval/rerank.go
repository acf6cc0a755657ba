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
	rarity := rarityOf(candidates)
	for i := range candidates {
		candidates[i].profile = profile(candidates[i].vector, rarity)
	}
	wording, common := wordings(trigrams(q.Subject), candidates), commonness(candidates)
	near, bursts := nearness(numberOf(q.ExcludeTicketID), candidates), bursts(candidates)
	features := make([]Features, len(candidates))
	for i, c := range candidates {
		features[i] = Features{
			Relevance: c.relevance, Wording: wording[i], Explained: explained(c.vector, query, rarity),
			Commonness: common[i], Nearness: near[i], Bursts: bursts,
		}
	}
	return features
}

// idf is the inverse document frequency among n candidates.
func idf(n, frequency float64) float64 { return math.Log(1 + (n-frequency+0.5)/(frequency+0.5)) }

func rarityOf(candidates []candidate) map[term]float64 {
	rarity, n := map[term]float64{}, float64(len(candidates))
	for _, c := range candidates {
		for _, e := range c.vector {
			rarity[e.term]++
		}
	}
	for t, df := range rarity {
		rarity[t] = idf(n, df)
	}
	return rarity
}

// profile weighs the terms of a document by rarity. Tags, which occur in neither field, weigh nothing.
func profile(document vector, rarity map[term]float64) []float64 {
	weights, sum := make([]float64, len(document)), 0.0
	for i, e := range document {
		if e.weight() > 0 {
			weights[i] = rarity[e.term] * (1 + math.Log(e.weight()))
			sum += weights[i] * weights[i]
		}
	}
	for i := range weights {
		weights[i] /= max(math.Sqrt(sum), math.SmallestNonzeroFloat64)
	}
	return weights
}

// explained is the share of a document's title, by rarity, that the body of the query has.
func explained(document, query vector, rarity map[term]float64) float64 {
	all, shared, i := 0.0, 0.0, 0
	for _, e := range document {
		if e.title == 0 {
			continue
		}
		all += rarity[e.term]
		for i < len(query) && query[i].term < e.term {
			i++
		}
		if i < len(query) && query[i].term == e.term && query[i].body > 0 {
			shared += rarity[e.term]
		}
	}
	return shared / max(all, math.SmallestNonzeroFloat64)
}

// commonness is the likeness of each candidate with the sum of the others at the top, each counted by its relevance.
func commonness(candidates []candidate) []float64 {
	crowd := map[term]float64{}
	for _, c := range candidates[:min(crowded, len(candidates))] {
		for i, e := range c.vector {
			crowd[e.term] += c.relevance * c.profile[i]
		}
	}
	common := make([]float64, len(candidates))
	for n, c := range candidates {
		for i, e := range c.vector {
			common[n] += crowd[e.term] * c.profile[i]
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
	n := float64(len(candidates))
	rarity := make(map[uint64]float64, 16*len(candidates))
	for _, c := range candidates {
		for _, t := range c.title {
			rarity[t]++
		}
	}
	for t, df := range rarity {
		rarity[t] = idf(n, df)
	}
	own := 0.0
	wanted := make(map[uint64]bool, len(title))
	for _, t := range title {
		w, ok := rarity[t]
		if !ok {
			w = idf(n, 0)
		}
		own += w * w
		wanted[t] = true
	}
	like := make([]float64, len(candidates))
	for i, c := range candidates {
		all, shared := 0.0, 0.0
		for _, t := range c.title {
			w := rarity[t]
			all += w * w
			if wanted[t] {
				shared += w * w
			}
		}
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
func bursts(candidates []candidate) float64 {
	candidates = candidates[:min(paired, len(candidates))]
	closest := make([]struct{ far, others, like, nearest float64 }, len(candidates))
	for i, a := range candidates {
		for j, b := range candidates[:i] {
			distance, ok := a.number.distance(b.number)
			if !ok {
				continue
			}
			log, like := math.Log1p(distance), cosine(a, b)
			for _, n := range []int{i, j} {
				c := &closest[n]
				c.far, c.others = c.far+log, c.others+1
				if like > c.like {
					c.like, c.nearest = like, log
				}
			}
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

// cosine is the likeness of two candidates.
func cosine(a, b candidate) float64 {
	sum := 0.0
	for i, j := 0, 0; i < len(a.vector) && j < len(b.vector); {
		switch {
		case a.vector[i].term < b.vector[j].term:
			i++
		case a.vector[i].term > b.vector[j].term:
			j++
		default:
			sum, i, j = sum+a.profile[i]*b.profile[j], i+1, j+1
		}
	}
	return sum
}
