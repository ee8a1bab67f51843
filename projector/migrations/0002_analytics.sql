-- Views for analysts live here; they are made by projector.readmodel.analytics.
create schema analytics;
comment on schema analytics is 'Leadfold: таблицы отчётов для аналитиков, телефоны закрыты';
