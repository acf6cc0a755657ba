DROP TABLE desk_connections;
DROP TABLE note_posts;
