package retrieval

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// readArticleHash locks the article, if it is there, and gives its hash; nil if it is not.
func readArticleHash(ctx context.Context, tx pgx.Tx, tenantID, articleID string) ([]byte, error) {
	var hash []byte
	err := tx.QueryRow(ctx, `
		SELECT content_hash FROM knowledge_articles
		WHERE tenant_id = $1 AND article_id = $2
		FOR UPDATE`, tenantID, articleID).Scan(&hash)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read article: %w", err)
	}
	return hash, nil
}

// writeArticle stores an article and its sections and returns the sections' ids, in their order.
func writeArticle(ctx context.Context, tx pgx.Tx, tenantID string, a Article, hash []byte) ([]int64, error) {
	_, err := tx.Exec(ctx, `
		INSERT INTO knowledge_articles (tenant_id, article_id, title, content, url, source, collection, content_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (tenant_id, article_id) DO UPDATE SET
			title = excluded.title, content = excluded.content, url = excluded.url, source = excluded.source,
			collection = excluded.collection, content_hash = excluded.content_hash, updated_at = now()`,
		tenantID, a.ID, a.Title, a.content(), a.URL, a.Source, a.Collection, hash)
	if err != nil {
		return nil, fmt.Errorf("upsert article: %w", err)
	}
	headings, contents := make([]string, len(a.Sections)), make([]string, len(a.Sections))
	for i, s := range a.Sections {
		headings[i], contents[i] = s.Heading, s.Content
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO knowledge_sections (tenant_id, article_id, position, heading, content)
		SELECT $1, $2, n.position, n.heading, n.content
		FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS n (heading, content, position)
		ORDER BY n.position
		RETURNING id`, tenantID, a.ID, headings, contents)
	if err != nil {
		return nil, fmt.Errorf("insert sections: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("insert sections: %w", err)
	}
	return ids, nil
}

func deleteSections(ctx context.Context, tx pgx.Tx, tenantID string, articleIDs []string) error {
	_, err := tx.Exec(ctx, `
		WITH gone AS (DELETE FROM knowledge_sections WHERE tenant_id = $1 AND article_id = ANY($2) RETURNING id)
		DELETE FROM search_documents
		WHERE tenant_id = $1 AND pool = $3 AND document_id IN (SELECT id FROM gone)`, tenantID, articleIDs, articlePool)
	if err != nil {
		return fmt.Errorf("delete sections: %w", err)
	}
	return nil
}

func deleteArticles(ctx context.Context, tx pgx.Tx, tenantID string, articleIDs []string) error {
	if err := deleteSections(ctx, tx, tenantID, articleIDs); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM knowledge_articles WHERE tenant_id = $1 AND article_id = ANY($2)`, tenantID, articleIDs)
	if err != nil {
		return fmt.Errorf("delete articles: %w", err)
	}
	return nil
}

func readOtherArticles(ctx context.Context, tx pgx.Tx, tenantID, collection string, ids []string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT article_id FROM knowledge_articles
		WHERE tenant_id = $1 AND collection = $2 AND article_id <> ALL($3)
		ORDER BY article_id`, tenantID, collection, ids)
	if err != nil {
		return nil, fmt.Errorf("read articles: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func readSections(ctx context.Context, tx pgx.Tx, tenantID string, ids []int64) ([]sectionRow, error) {
	rows, err := tx.Query(ctx, `
		SELECT d.document_id, d.terms, a.article_id, a.title, a.url, a.source, s.heading, s.content
		FROM unnest($3::bigint[]) AS q (id)
		CROSS JOIN LATERAL (
			SELECT document_id, terms FROM search_documents
			WHERE tenant_id = $1 AND pool = $2 AND document_id = q.id LIMIT 1) d
		CROSS JOIN LATERAL (
			SELECT article_id, heading, content FROM knowledge_sections
			WHERE tenant_id = $1 AND id = q.id LIMIT 1) s
		CROSS JOIN LATERAL (
			SELECT article_id, title, url, source FROM knowledge_articles
			WHERE tenant_id = $1 AND article_id = s.article_id LIMIT 1) a`, tenantID, articlePool, ids)
	if err != nil {
		return nil, fmt.Errorf("read sections: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[sectionRow])
}
