"""Grafana dashboards as code: `python -m deploy.grafana` writes them to where compose and the chart find them.

Plain functions that return the JSON that Grafana reads. Grafana's own builders (grafana-foundation-sdk) would take
three lines for each line of these, and whoever makes dashboards would need them. So they serve as a check in the tests
instead: whatever key they do not know is a mistake here.
"""
