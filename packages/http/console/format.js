/** Numbers and times as people read them. */

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (Math.abs(value) < 100_000 ? whole.format(value) : short.format(value));
export const exact = (value) => whole.format(value);
export const rate = (value) => (value > 0 && value < 10 ? value.toFixed(1) : count(value));
export const percent = (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export function ms(value) {
	if (value === null || !Number.isFinite(value)) return "–";
	if (value === 0) return "0 ms";
	if (value < 1) return `${value.toFixed(2)} ms`;
	return value < 100 ? `${value.toFixed(1)} ms` : `${whole.format(value)} ms`;
}

/** On an axis, whose values are round ones. */
export const msTick = (value) => `${tenths.format(value)} ms`;

export function bytes(value) {
	if (value < 1024) return `${whole.format(value)} B`;
	const power = Math.min(4, Math.floor(Math.log2(value) / 10));
	return `${(value / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

export function duration(seconds) {
	if (seconds < 90) return `${Math.floor(seconds)} s`;
	if (seconds < 5400) return `${Math.floor(seconds / 60)} min`;
	return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.floor(seconds / 86_400)} days`;
}

/** Of the shards that there are, or of those that are wanted if that is another number. */
export function shards(present, scaling) {
	const wanted = scaling?.wanted ?? present;
	const source = scaling?.followsCpus === true ? ", following the CPUs" : "";
	return `${wanted === present ? present : `${present} of ${wanted} wanted`} ${wanted === 1 && present === 1 ? "shard" : "shards"}${source}`;
}

export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");
