"""The pages and the JSON API of the reports: `reports.web.app.build_app` makes an aiohttp application."""
