// Building blocks of the dashboards: what a panel needs to say, and nothing of Grafana's JSON. Used by dashboards.mjs.

/** The one that is chosen at the top of the dashboard. */
const datasource = { type: "prometheus", uid: `\${datasource}` };
const columns = 24;

/** A query and how its lines are called, such as `query("sum(up)", "up")`. */
export const query = (expr, legend = "") => ({ expr, legend });

const targets = (queries, more = {}) =>
	queries.map(({ expr, legend }, index) => ({
		refId: String.fromCharCode(65 + index),
		datasource,
		expr,
		legendFormat: legend || "__auto",
		...more,
	}));

const panel = (type, title, description, { width = 8, height = 7 }, rest) => ({
	type,
	title,
	description,
	datasource,
	width,
	height,
	...rest,
});

/** Lines over time. `stack` adds them up; `max` fixes the top of the axis, for shares of one core or of a limit. */
export function lines(title, description, unit, queries, { stack = false, max, min = 0, ...size } = {}) {
	return panel("timeseries", title, description, size, {
		targets: targets(queries),
		fieldConfig: {
			defaults: {
				unit,
				min,
				...(max === undefined ? {} : { max }),
				custom: { lineWidth: 1, fillOpacity: stack ? 30 : 8, showPoints: "never", stacking: { mode: stack ? "normal" : "none" } },
			},
			overrides: [],
		},
		options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
	});
}

/** One number each, coloured by thresholds: `[[0, "green"], [0.9, "red"]]`. */
export function numbers(title, description, unit, queries, { thresholds = [[0, "text"]], ...size } = {}) {
	return panel(
		"stat",
		title,
		description,
		{ width: 4, height: 4, ...size },
		{
			targets: targets(queries, { instant: true }),
			fieldConfig: { defaults: { unit, thresholds: steps(thresholds), color: { mode: "thresholds" } }, overrides: [] },
			options: { colorMode: "value", graphMode: "none", reduceOptions: { calcs: ["lastNotNull"] }, textMode: "auto" },
		},
	);
}

/** A bar per label value now: who has how much. */
export function bars(title, description, unit, queries, { thresholds = [[0, "green"]], max, ...size } = {}) {
	return panel("bargauge", title, description, size, {
		targets: targets(queries, { instant: true }),
		fieldConfig: {
			defaults: { unit, min: 0, ...(max === undefined ? {} : { max }), thresholds: steps(thresholds), color: { mode: "thresholds" } },
			overrides: [],
		},
		options: { displayMode: "basic", orientation: "horizontal", reduceOptions: { calcs: ["lastNotNull"] }, showUnfilled: true },
	});
}

/** A histogram's buckets over time, as colours. The query sums rates by `le`. */
export function heatMap(title, description, unit, expr, size = {}) {
	return panel(
		"heatmap",
		title,
		description,
		{ width: 24, height: 10, ...size },
		{
			targets: targets([query(expr, "{{le}}")], { format: "heatmap" }),
			options: {
				calculate: false,
				color: { mode: "scheme", scheme: "Oranges", scale: "exponential", exponent: 0.5, steps: 64 },
				yAxis: { unit, axisPlacement: "left" },
				cellGap: 1,
				tooltip: { show: true, yHistogram: true },
				filterValues: { le: 1e-9 },
			},
		},
	);
}

/** States over time, a row per series: 1 green, 0 red. */
export function states(title, description, queries, size = {}) {
	return panel(
		"state-timeline",
		title,
		description,
		{ width: 24, height: 6, ...size },
		{
			targets: targets(queries),
			fieldConfig: {
				defaults: {
					mappings: [{ type: "value", options: { 0: { text: "not serving", color: "red" }, 1: { text: "serving", color: "green" } } }],
					custom: { fillOpacity: 70, lineWidth: 0 },
				},
				overrides: [],
			},
			options: { mergeValues: true, showValue: "never", legend: { displayMode: "hidden", showLegend: false, placement: "bottom" } },
		},
	);
}

export const row = (title) => ({ type: "row", title, width: columns, height: 1, collapsed: false, panels: [] });

/** Panels laid out from left to right, top to bottom, in the order given. */
export function dashboard(uid, title, description, panels) {
	let x = 0;
	let y = 0;
	let rowHeight = 0;
	const placed = panels.map(({ width, height, ...rest }, index) => {
		if (x + width > columns) {
			x = 0;
			y += rowHeight;
			rowHeight = 0;
		}
		const gridPos = { x, y, w: width, h: height };
		x += width;
		rowHeight = Math.max(rowHeight, height);
		return { id: index + 1, ...rest, gridPos };
	});
	return {
		uid,
		title,
		description,
		tags: ["shardcast"],
		schemaVersion: 39,
		version: 1,
		editable: false,
		timezone: "browser",
		refresh: "5s",
		time: { from: "now-15m", to: "now" },
		graphTooltip: 1,
		templating: {
			list: [
				{
					name: "datasource",
					label: "Data source",
					type: "datasource",
					query: "prometheus",
					current: {},
					refresh: 1,
				},
				{
					name: "instance",
					label: "Cluster",
					type: "query",
					datasource,
					query: { query: "label_values(shardcast_shards, instance)", refId: "instance" },
					includeAll: true,
					multi: true,
					current: { text: "All", value: "$__all" },
					refresh: 2,
				},
			],
		},
		links: [{ type: "dashboards", tags: ["shardcast"], title: "shardcast", asDropdown: true, includeVars: true, keepTime: true }],
		annotations: { list: [] },
		panels: placed,
	};
}

const steps = (thresholds) => ({
	mode: "absolute",
	steps: thresholds.map(([value, color], index) => ({ color, value: index === 0 ? null : value })),
});
