"""What people ask: clusters of their questions, and how often each is asked."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE question_clusters (
            id integer PRIMARY KEY,
            model text NOT NULL,
            title text NOT NULL,
            keywords text[] NOT NULL,
            size integer NOT NULL,
            analysed_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE question_cluster_members (
            cluster_id integer NOT NULL REFERENCES question_clusters ON DELETE CASCADE,
            message_id text COLLATE "C" PRIMARY KEY REFERENCES chat_messages ON DELETE CASCADE
        );
        CREATE INDEX question_cluster_members_cluster ON question_cluster_members (cluster_id);
        CREATE TABLE question_stats_daily (
            cluster_id integer NOT NULL REFERENCES question_clusters ON DELETE CASCADE,
            day date NOT NULL,
            questions integer NOT NULL,
            PRIMARY KEY (day, cluster_id)
        );
        """
    )
    tables = "question_clusters, question_cluster_members, question_stats_daily"
    grant("embedder", tables, "SELECT, INSERT, UPDATE, DELETE")
