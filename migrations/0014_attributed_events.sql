-- What came of slates is counted by recommendation.
CREATE INDEX interactions_attributed ON interactions (tenant, recommendation_id) INCLUDE (item_number, type)
    WHERE recommendation_id IS NOT NULL;
