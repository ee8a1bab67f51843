-- From which log a build is made, and what was read last of each partition: positions on another log, or on one that was
-- cut off and has grown again, are no positions.
alter table leadfold.build add column log text;
comment on column leadfold.build.log is 'Журнал, из которого сделана сборка';
-- Since when and why nobody works on it any more: pages and `leadfold status` say so.
alter table leadfold.build add column stopped_at timestamptz, add column stopped text;
comment on column leadfold.build.stopped_at is 'С какого момента цифры стоят: обработка событий остановлена';
alter table leadfold.position add column mark_offset bigint, add column mark text;
comment on column leadfold.position.mark is 'Отпечаток записи mark_offset, последней из применённых: по нему узнают журнал';
