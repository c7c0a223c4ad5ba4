// Draws the charts of a report from the series in the page. Plain script: it is written into the page, after uPlot.
(() => {
	const series = JSON.parse(document.getElementById("series").textContent);
	if (series === null || series.points.length === 0) return;
	const { points, intervalSeconds } = series;
	const plotHeight = 220;
	const digits = (value) => value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : 2 });
	const perSecond = (pick) => (point) => pick(point) / intervalSeconds;
	/** `right`: lines with an axis to the right, whose values are of another size. */
	const charts = [
		{
			title: "Latency of deliveries",
			left: ["ms", { p50: (point) => point.p50Ms, p95: (point) => point.p95Ms, p99: (point) => point.p99Ms, max: (point) => point.maxMs }],
		},
		{
			title: "Throughput",
			left: ["/s", { "deliveries/s": perSecond((point) => point.deliveries) }],
			right: ["/s", { "messages sent/s": perSecond((point) => point.sent) }],
		},
		{
			title: "Clients",
			left: ["", { open: (point) => point.clients, wanted: (point) => point.clientsWanted }],
			right: ["/s", { "opened/s": perSecond((point) => point.connects), "failed/s": perSecond((point) => point.connectsFailed) }],
		},
		{
			title: "CPU and event loop",
			left: [
				"%",
				{
					"server, % of a core": (point) => point.serverCpuPercent,
					"load generator, % of a core": (point) => point.generatorCpuPercent,
					"its busiest thread, %": (point) => point.generatorBusyPercent,
				},
			],
			right: ["ms", { "load generator late, ms": (point) => point.generatorLagMs }],
		},
	];
	const colours = ["--first", "--second", "--third", "--fourth"];
	const host = document.getElementById("charts");
	const times = points.map((point) => point.second);
	const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;

	function draw({ title, left, right }) {
		const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
		const card = document.createElement("div");
		card.className = "chart";
		const head = document.createElement("h2");
		head.textContent = title;
		card.append(head);
		host.append(card);
		const width = () => card.clientWidth - 24;
		const axis = {
			stroke: colour("--soft"),
			grid: { stroke: colour("--line"), width: 1 },
			ticks: { stroke: colour("--line"), width: 1 },
		};
		const range = (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1];
		const scales = { x: { time: false } };
		const axes = [{ ...axis, values: (_plot, splits) => splits.map(clock), incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600] }];
		const shown = [];
		for (const [scale, side, given] of [
			["left", 3, left],
			["right", 1, right],
		]) {
			const lines = Object.entries(given?.[1] ?? {})
				.map(([label, pick]) => ({ label, scale, values: points.map(pick) }))
				.filter(({ values }) => values.some((value) => value !== null));
			if (lines.length === 0) continue;
			const unit = given[0];
			scales[scale] = { range };
			axes.push({
				...axis,
				scale,
				side,
				size: 75,
				...(side === 1 && { grid: { show: false } }),
				values: (_plot, splits) => splits.map((value) => `${digits(value)}${unit === "/s" || unit === "" ? unit : ` ${unit}`}`),
			});
			shown.push(...lines);
		}
		const plot = new uPlot(
			{
				width: width(),
				height: plotHeight,
				cursor: { sync: { key: "time" } },
				scales,
				axes,
				series: [
					{ label: "time", value: (_plot, at) => (at === null ? "–" : clock(at)) },
					...shown.map(({ label, scale }, index) => ({
						label,
						scale,
						stroke: colour(colours[index]),
						width: 2,
						...(scale === "right" && { dash: [6, 4] }),
						points: { show: points.length < 3 },
						value: (_plot, value) => (value === null ? "–" : digits(value)),
					})),
				],
			},
			[times, ...shown.map(({ values }) => values)],
			card,
		);
		new ResizeObserver(() => plot.setSize({ width: width(), height: plotHeight })).observe(card);
	}

	const drawAll = () => {
		host.replaceChildren();
		for (const chart of charts) draw(chart);
	};
	drawAll();
	// Colours are read when a plot is made.
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
