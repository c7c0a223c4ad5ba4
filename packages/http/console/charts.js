import uPlot from "/console/uplot.js";
import { byId } from "./dom.js";
import { count, ms, msTick } from "./format.js";
import { axisTicks, axisTop } from "./scale.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Pixels; the legend comes below it, on as many lines as it needs. */
const plotHeight = 182;

/** @param tick writes a value of the vertical axis; `least` is the smallest step that it tells apart. */
function chart(id, labels, format, { tick, least }) {
	const host = byId(id);
	let plot = null;
	let data = [[], [], []];
	const make = () => {
		plot?.destroy();
		const axis = {
			stroke: colour("--soft"),
			grid: { stroke: colour("--line"), width: 1 },
			ticks: { stroke: colour("--line"), width: 1 },
			font: "12px system-ui",
		};
		plot = new uPlot(
			{
				width: host.clientWidth,
				height: plotHeight,
				// Half of the newest time's label is to the right of the plot.
				padding: [8, 28, 0, 0],
				cursor: { y: false },
				scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, axisTop(high, least)] } },
				axes: [
					{
						...axis,
						values: (_plot, splits) => splits.map((at) => new Date(at * 1000).toLocaleTimeString("en-GB").slice(0, 8)),
						space: 90,
					},
					{
						...axis,
						size: 62,
						splits: (_plot, _axis, _low, top) => axisTicks(top, least),
						values: (_plot, splits) => splits.map(tick),
					},
				],
				series: [
					{ label: "time", value: (_plot, at) => (at ? new Date(at * 1000).toLocaleTimeString("en-GB") : "–") },
					{
						label: labels[0],
						stroke: colour("--accent"),
						width: 2,
						points: { show: false },
						value: (_plot, value) => (value === null ? "–" : format(value)),
					},
					{
						label: labels[1],
						stroke: colour("--second"),
						width: 2,
						points: { show: false },
						value: (_plot, value) => (value === null ? "–" : format(value)),
					},
				],
			},
			data,
			host,
		);
	};
	new ResizeObserver(() => plot?.setSize({ width: host.clientWidth, height: plotHeight })).observe(host);
	return {
		set(next) {
			data = next;
			// Made with the first data: by then the theme, whose colours it takes, has been set.
			if (plot === null) make();
			else plot.setData(data);
		},
		/** Colours are read once when a plot is made: a new theme needs a new plot. */
		repaint: make,
	};
}

const rates = chart("chart-rate", ["messages/s", "deliveries/s"], count, { tick: count, least: 1 });
const latency = chart("chart-latency", ["p50", "p99"], ms, { tick: msTick, least: 0.2 });

export function drawCharts(series) {
	rates.set([series.times, series.messages, series.deliveries]);
	latency.set([series.times, series.p50, series.p99]);
}

export function repaintCharts() {
	rates.repaint();
	latency.repaint();
}

const svg = "http://www.w3.org/2000/svg";

/** A sparkline of the newest values, as wide as two minutes so that all rows share one time axis. */
export function sparkline(values, slots, label) {
	const node = document.createElementNS(svg, "svg");
	node.setAttribute("class", "spark");
	node.setAttribute("viewBox", `0 0 ${slots - 1} 24`);
	node.setAttribute("preserveAspectRatio", "none");
	node.setAttribute("role", "img");
	node.setAttribute("aria-label", label);
	const top = Math.max(...values, 1);
	const first = slots - values.length;
	const path = document.createElementNS(svg, "path");
	path.setAttribute(
		"d",
		values.map((value, index) => `${index === 0 ? "M" : "L"}${first + index} ${(23 - (value / top) * 22).toFixed(1)}`).join(""),
	);
	node.append(path);
	return node;
}
