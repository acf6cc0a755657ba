DROP TABLE search_postings;
DROP TABLE search_segments;
DROP TABLE search_documents;
DROP TABLE knowledge_sections;
DROP TABLE knowledge_articles;
DROP TABLE ticket_history;
