-- Users of a surface in parts, each served in its own way. An id is of one experiment for good.
CREATE TABLE experiments (
    tenant     integer NOT NULL REFERENCES tenants,
    id         text COLLATE "C" NOT NULL,
    surface    text COLLATE "C" NOT NULL,
    layer      text COLLATE "C" NOT NULL,
    salt       bigint NOT NULL,
    -- Of each variant, in order: name, weight in hundredths of a percent, policy ('': none), model (0: none).
    names      text[] COLLATE "C" NOT NULL,
    weights    integer[] NOT NULL,
    policies   text[] COLLATE "C" NOT NULL,
    models     bigint[] NOT NULL,
    metric     text NOT NULL,
    baseline   double precision NOT NULL,
    effect     double precision NOT NULL,
    alpha      double precision NOT NULL,
    power      double precision NOT NULL,
    allocation text NOT NULL,
    -- Ranges of ten thousand buckets, three numbers each: first, end, whose.
    users      integer[] NOT NULL,
    slots      integer[] NOT NULL,
    -- Whether each change of weights gave all variants users that were nobody's alike.
    comparable boolean NOT NULL DEFAULT true,
    started_at timestamptz NOT NULL DEFAULT now(),
    -- Since when the variants and their weights are these.
    weighed_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,
    PRIMARY KEY (tenant, id)
);
