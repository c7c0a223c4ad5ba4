import { formatBytes } from "@shardcast/config";
import type { GatewayReport } from "./gateway-report.ts";

interface MonitorReportParts {
	/** May reject; then there is no report this time. */
	readonly read: () => GatewayReport | Promise<GatewayReport>;
	/** 0 = never. */
	readonly everyMs: number;
	readonly print: (text: string) => void;
}

/** Writes what the gateway does to the terminal, every few seconds. One owner. */
export class MonitorReport {
	readonly #parts: MonitorReportParts;
	#timer: NodeJS.Timeout | null = null;
	#before: GatewayReport | null = null;
	#beforeMs = 0;

	constructor(parts: MonitorReportParts) {
		this.#parts = parts;
	}

	start(): void {
		const { everyMs } = this.#parts;
		if (everyMs === 0) return;
		void this.#look(() => {});
		this.#timer = setInterval(() => void this.#look(this.#parts.print), everyMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	async #look(print: (text: string) => void): Promise<void> {
		const now = await Promise.resolve(this.#parts.read()).catch(() => null);
		if (now === null) return;
		const nowMs = performance.now();
		if (this.#before !== null) print(reportText(now, this.#before, (nowMs - this.#beforeMs) / 1000));
		this.#before = now;
		this.#beforeMs = nowMs;
	}
}

/** The report as lines. Rates are over the time since the report before. */
export function reportText(now: GatewayReport, before: GatewayReport, seconds: number): string {
	// Sums are less when a process is missing in them.
	const perSecond = (value: number) => Math.round(Math.max(0, value) / Math.max(seconds, 0.001));
	const way = (name: string) => {
		const frames = perSecond((now.frames[name] ?? 0) - (before.frames[name] ?? 0));
		const bytes = perSecond((now.bytes[name] ?? 0) - (before.bytes[name] ?? 0));
		return `${name.replace("_", " ")} ${frames}/s ${bytesText(bytes)}/s`;
	};
	const count = now.latency.count - before.latency.count;
	const averageMs = count === 0 ? 0 : ((now.latency.seconds - before.latency.seconds) * 1000) / count;
	const { clients, buffers, held, backendsRefused, acks } = now;
	// VIDEO that is skipped for a slow client is normal, and counted apart: as dropped, it would hide what is not.
	const droppedOf = (name: string, dropped: number) => (name === "to_clients_low" ? Math.max(0, dropped - acks.skipped) : dropped);
	const lines = [
		`gateway: clients ${clients.open} of ${clients.max}, backends up ${now.backends.filter(({ isUp }) => isUp).length} of ${now.backends.length}, refused ${backendsRefused}`,
		`  messages: ${way("from_clients")}, ${way("to_clients")}`,
		`            ${way("from_backends")}, ${way("to_backends")}; average latency ${averageMs.toFixed(2)} ms`,
		`  dropped ${Math.max(0, sum(now.dropped) - acks.skipped)}, refused ${sum(now.refused)}, VIDEO skipped ${acks.skipped}, ACKs overdue ${acks.resets}`,
		...Object.entries(now.queues).map(
			([name, { waiting, dropped, highWater, pressed }]) =>
				`  queue ${name.replaceAll("_", " ")}: depth ${waiting}, drops ${droppedOf(name, dropped)}, high water ${highWater}, back-pressure ${pressed}`,
		),
		`  held for backends: ${held} frames`,
		`  buffers: ${bytesText(buffers.reservedBytes)} of ${bytesText(buffers.bytesMax)}, refused ${buffers.refused}`,
		...buffers.tiers.map(
			({ bytes, buffersMax, inUse, allocations, frees, highWater }) =>
				`    ${bytesText(bytes)} × ${buffersMax}: allocations ${allocations}, frees ${frees}, in use ${inUse} (${Math.round((100 * inUse) / buffersMax)} %), high water ${highWater}`,
		),
		...now.backends.map(
			({ id, address, isUp, breaker, failures, sentFrames }) =>
				`[${id}] ${address} [${breaker}] fails=${failures} sent=${sentFrames}${isUp ? "" : " down"}`,
		),
	];
	return `${lines.join("\n")}\n`;
}

/** With one digit after the point: `formatBytes` is for options, and exact. */
function bytesText(bytes: number): string {
	if (Number.isInteger(bytes / 1024)) return formatBytes(bytes);
	const power = bytes < 1024 ? 0 : bytes < 1024 ** 2 ? 1 : 2;
	return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)}${["B", "KiB", "MiB"][power]}`;
}

function sum(values: Readonly<Record<string, number>>): number {
	return Object.values(values).reduce((total, value) => total + value, 0);
}
