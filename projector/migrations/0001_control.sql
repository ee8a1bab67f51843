-- What steers the projector: builds, positions on the log, dead letters, what was seen of each source.
comment on schema leadfold is 'Leadfold: сборки, позиции в журнале, отложенные записи';

create table leadfold.build (
    build_id          integer primary key,
    schema_name       text not null unique,
    state             text not null check (state in ('filling', 'ready', 'live', 'old', 'failed', 'dropped')),
    purpose           text not null default 'live',
    fold_version      text not null,
    config            text,               -- hash of time zone, sources and code: who folds with another leaves dirty groups alone
    rules             jsonb,              -- rules instead of the published ones (what-if); null = the published ones
    known_before      timestamptz,        -- only what was received before (as known at); null = everything
    directory_version bigint not null default 0,
    fingerprint       bigint,             -- directory and code that rows are folded with now
    views             text,               -- hash of the views of `analytics` made for it
    note              text,
    created_at        timestamptz not null default now(),
    live_at           timestamptz,
    retired_at        timestamptz
);
comment on table leadfold.build is 'Сборка таблиц отчётов: код, правила и срез знаний в своей схеме';
create unique index build_live on leadfold.build ((true)) where state = 'live';

create table leadfold.position (
    build_id      integer not null references leadfold.build on delete cascade,
    "partition"   integer not null,
    next_offset   bigint not null default 0,
    epoch         bigint not null default 0,  -- taking a partition adds one; a batch of an older epoch changes nothing
    owner         text,
    backend       integer,                    -- pg_backend_pid of the owner
    seen_at       timestamptz,                -- the owner was alive
    last_time     timestamptz,                -- newest moment among the applied facts
    last_received timestamptz,
    primary key (build_id, "partition")
) with (fillfactor = 50);
comment on table leadfold.position is 'Сколько записей журнала уже в таблицах; меняется в одной транзакции с ними';

create table leadfold.deadletter (
    deadletter_id bigint generated always as identity primary key,
    build_id      integer not null references leadfold.build on delete cascade,
    kind          text not null check (kind in ('record', 'fact', 'group')),
    "partition"   integer not null,        -- -1 for a group
    "offset"      bigint not null,         -- the group's number for a group
    event_id      uuid,
    event_type    text,
    group_id      bigint,
    reason        text not null,           -- no data of the record
    attempts      integer not null default 1,
    first_at      timestamptz not null default now(),
    last_at       timestamptz not null default now(),
    resolved_at   timestamptz,
    unique (build_id, "partition", "offset")
);
comment on table leadfold.deadletter is 'Отложенные: записи и факты, которые не удалось прочесть или свернуть';
create index deadletter_open on leadfold.deadletter (build_id) where resolved_at is null;
create index deadletter_event on leadfold.deadletter (event_id);

create table leadfold.source_seen (
    build_id      integer not null references leadfold.build on delete cascade,
    source        text not null,
    last_time     timestamptz not null,
    last_received timestamptz not null,
    facts         bigint not null default 0,
    primary key (build_id, source)
) with (fillfactor = 50);
comment on table leadfold.source_seen is 'Последнее событие каждого источника';

create table leadfold.analyst_login (
    only_one boolean primary key default true check (only_one),
    name     text not null,
    password text not null
);
comment on table leadfold.analyst_login is 'Вход аналитика этой базы: его использует leadfold sql';
