"""Groups of questions keep their ids from run to run, new questions are assigned, and people give names.

What the version before writes stays valid: it replaces all groups, and knows none of the new columns.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE question_clusters
            ADD COLUMN name text NOT NULL DEFAULT '',
            ADD COLUMN named_by text NOT NULL DEFAULT '',
            ADD COLUMN medoid text COLLATE "C" REFERENCES chat_messages ON DELETE SET NULL,
            ADD COLUMN centroid bytea,
            ADD COLUMN least real NOT NULL DEFAULT 2,
            ADD COLUMN languages jsonb NOT NULL DEFAULT '{}',
            ADD COLUMN first_seen_at timestamptz NOT NULL DEFAULT now();
        CREATE INDEX question_clusters_medoid ON question_clusters (medoid);
        CREATE TABLE question_ungrouped (
            message_id text COLLATE "C" PRIMARY KEY REFERENCES chat_messages ON DELETE CASCADE,
            kind text NOT NULL,
            CONSTRAINT question_ungrouped_kind_check CHECK (kind IN ('noise', 'talk'))
        );
        CREATE TABLE question_analysis (
            single boolean PRIMARY KEY DEFAULT true,
            model text NOT NULL,
            way text NOT NULL,
            questions integer NOT NULL,
            scripts text[] NOT NULL,
            means bytea NOT NULL,
            last_id integer NOT NULL,
            revision bigint NOT NULL,
            assigned_through bigint NOT NULL,
            analysed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT question_analysis_single_check CHECK (single)
        );

        -- A title is a text of somebody: it goes with the message. Readers take another member's then.
        CREATE FUNCTION question_clusters_untitled() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.title := '';
            RETURN NEW;
        END $$;
        CREATE TRIGGER untitled BEFORE UPDATE OF medoid ON question_clusters
            FOR EACH ROW WHEN (OLD.medoid IS NOT NULL AND NEW.medoid IS NULL)
            EXECUTE FUNCTION question_clusters_untitled();

        -- A message with another text is another question, to be assigned anew.
        CREATE FUNCTION question_of_message_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM question_cluster_members WHERE message_id = NEW.id;
            DELETE FROM question_ungrouped WHERE message_id = NEW.id;
            UPDATE question_clusters SET medoid = NULL WHERE medoid = NEW.id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER question_changed AFTER UPDATE OF text, role ON chat_messages
            FOR EACH ROW WHEN ((OLD.text, OLD.role) IS DISTINCT FROM (NEW.text, NEW.role))
            EXECUTE FUNCTION question_of_message_changed();
        """
    )
    grant("embedder", "question_ungrouped, question_analysis", "SELECT, INSERT, UPDATE, DELETE")
