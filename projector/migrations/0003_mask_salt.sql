-- A client's id is made from his phone alone, so that a rebuild gives the same one. Whoever knows it can try all phones;
-- analysts therefore see a hash of it with this secret of the database. They may read neither this table nor the ids.
create table leadfold.mask_salt (
    only_one boolean primary key default true check (only_one),
    salt     text not null
);
comment on table leadfold.mask_salt is 'Секрет этой базы: с ним хешируются номера клиентов в analytics';
insert into leadfold.mask_salt (salt) select gen_random_uuid()::text || gen_random_uuid()::text;
