package retrieval

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// Article is a document of the tenant's own knowledge.
type Article struct {
	// ID is unique in the tenant, such as "runbooks/vpn.md" or "solution-17".
	ID    string
	Title string
	URL   string
	// Source is import or sync.
	Source string
	// Collection is where the article belongs: a synchronised collection loses what its source no longer has.
	Collection string
	Sections   []Section
}

// Section is what is under one heading, as text. The heading is empty before the first one.
type Section struct {
	Heading string
	Content string
}

const (
	maxArticleID = 500
	maxTitle     = 500
	maxSection   = 32 << 10
	maxSections  = 500
)

// articleCode is the part of an evidence id that names the article: short enough to be read aloud, and the same for ever.
func articleCode(articleID string) string {
	sum := sha256.Sum256([]byte(articleID))
	return base32.StdEncoding.EncodeToString(sum[:])[:6]
}

func (a Article) hash() []byte {
	h := sha256.New()
	for _, s := range []string{a.Title, a.URL, a.Source, a.Collection} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	for _, s := range a.Sections {
		fmt.Fprintf(h, "%d:%s%d:%s", len(s.Heading), s.Heading, len(s.Content), s.Content)
	}
	return h.Sum(nil)
}

// content is the whole article as text.
func (a Article) content() string {
	var b strings.Builder
	for _, s := range a.Sections {
		if s.Heading != "" {
			b.WriteString(s.Heading + "\n")
		}
		b.WriteString(s.Content + "\n\n")
	}
	return strings.TrimSpace(b.String())
}

func (a Article) clean() Article {
	a.Title = limited(oneLine(cleanText(a.Title)), maxTitle)
	a.Sections = slices.Clone(a.Sections[:min(len(a.Sections), maxSections)])
	for i := range a.Sections {
		a.Sections[i].Heading = limited(oneLine(cleanText(a.Sections[i].Heading)), maxTitle)
		a.Sections[i].Content = limited(cleanText(a.Sections[i].Content), maxSection)
	}
	return a
}

// UpsertArticles stores articles with their sections and index entries in one transaction. Articles whose content is
// known already are not touched.
func (s *Store) UpsertArticles(ctx context.Context, tenantID string, articles []Article) (Change, error) {
	var change Change
	err := s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		change = Change{}
		articles := slices.SortedFunc(slices.Values(articles), func(a, b Article) int { return cmp.Compare(a.ID, b.ID) })
		for _, a := range articles {
			if a.ID == "" || len(a.ID) > maxArticleID || a.Title == "" {
				return fault.Newf(fault.Invalid, "an article needs an id of 1 to %d characters and a title", maxArticleID)
			}
			one, err := upsertArticle(ctx, tx, tenantID, a.clean())
			if err != nil {
				return err
			}
			change.add(one)
		}
		return nil
	})
	if err != nil {
		return Change{}, fmt.Errorf("store articles: %w", err)
	}
	s.foldIfDue(ctx, tenantID, articlePool)
	return change, nil
}

func upsertArticle(ctx context.Context, tx pgx.Tx, tenantID string, a Article) (Change, error) {
	hash := a.hash()
	known, err := readArticleHash(ctx, tx, tenantID, a.ID)
	if err != nil {
		return Change{}, err
	}
	if bytes.Equal(known, hash) {
		return Change{Unchanged: 1}, nil
	}
	if known != nil {
		if err := deleteSections(ctx, tx, tenantID, []string{a.ID}); err != nil {
			return Change{}, err
		}
	}
	ids, err := writeArticle(ctx, tx, tenantID, a, hash)
	if err != nil {
		return Change{}, err
	}
	documents := make([]indexed, len(ids))
	for i, id := range ids {
		section := a.Sections[i]
		documents[i] = indexed{id, analyse(a.Title+"\n"+section.Heading, section.Content)}
	}
	if known != nil {
		return Change{Updated: 1}, putDocuments(ctx, tx, tenantID, articlePool, documents)
	}
	return Change{Added: 1}, putDocuments(ctx, tx, tenantID, articlePool, documents)
}

// KeepArticles removes the articles of a collection that are not among the given ids and returns how many that were. A sync
// calls it after it has seen the whole of its source, never after a part.
func (s *Store) KeepArticles(ctx context.Context, tenantID, collection string, ids []string) (removed int, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		gone, err := readOtherArticles(ctx, tx, tenantID, collection, ids)
		if err != nil || len(gone) == 0 {
			return err
		}
		removed = len(gone)
		return deleteArticles(ctx, tx, tenantID, gone)
	})
	if err != nil {
		return 0, fmt.Errorf("remove articles: %w", err)
	}
	return removed, nil
}

// SearchArticles finds the sections of the tenant's articles that say most about the ticket, one section an article, each
// with its best passage.
func (s *Store) SearchArticles(ctx context.Context, tenantID string, q Query) ([]evidence.Article, error) {
	find := search{index: s.index, pool: articlePool, query: analyse(q.Subject, plainText(q.Description))}
	var candidates []sectionRow
	err := s.inSearchTx(ctx, tenantID, &find, func(ctx context.Context, tx pgx.Tx, ids []int64) (err error) {
		candidates, err = readSections(ctx, tx, tenantID, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search articles: %w", err)
	}
	self, titles := find.self(), make([]candidate, len(candidates))
	for i, c := range candidates {
		titles[i].title = trigrams(c.Title + " " + c.Heading)
	}
	for i, wording := range wordings(trigrams(q.Subject), titles) {
		relevance := score(find.terms, decode(candidates[i].Terms), find.average) / self * find.known
		candidates[i].relevance, candidates[i].rank = relevance, Features{Relevance: relevance, Wording: wording}.Rank(weights)
	}
	slices.SortStableFunc(candidates, func(a, b sectionRow) int { return cmp.Compare(b.rank, a.rank) })
	return s.pickSections(candidates, q), nil
}

func (s *Store) pickSections(candidates []sectionRow, q Query) []evidence.Article {
	excerpts := newExcerpter(q)
	var articles []evidence.Article
	seen := map[string]bool{}
	for _, c := range candidates {
		if len(articles) == cmp.Or(q.Limit, s.cfg.ArticleLimit) {
			break
		}
		if seen[c.ArticleID] || c.relevance == 0 || c.relevance < s.cfg.ArticleFloor {
			continue
		}
		seen[c.ArticleID] = true
		articles = append(articles, evidence.Article{
			ID: "KB-" + articleCode(c.ArticleID), Title: c.Title, Section: c.Heading, Excerpt: excerpts.best(c.Content),
			Source: c.Source, URL: c.URL, Score: min(1, c.relevance),
		})
	}
	return articles
}

// sectionRow is what a search reads of a section.
type sectionRow struct {
	DocumentID int64
	Terms      []byte
	ArticleID  string
	Title      string
	URL        string
	Source     string
	Heading    string
	Content    string

	rank      float64
	relevance float64
}
