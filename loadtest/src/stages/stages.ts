/** A value that changes over time: clients, or messages per second. Each stage leads from one value to another in a straight line. */
export interface Stage {
	readonly from: number;
	readonly to: number;
	readonly ms: number;
}

export const totalMs = (stages: readonly Stage[]): number => stages.reduce((sum, { ms }) => sum + ms, 0);
export const highest = (stages: readonly Stage[]): number => Math.max(...stages.flatMap(({ from, to }) => [from, to]));

/** The value at a time since the start; after the last stage the value that it ends with. */
export function valueAt(stages: readonly Stage[], atMs: number): number {
	let startMs = 0;
	for (const { from, to, ms } of stages) {
		if (atMs < startMs + ms) return from + ((to - from) * (atMs - startMs)) / ms;
		startMs += ms;
	}
	return stages.at(-1)!.to;
}

/** The same stages, ending at `endMs`: cut there, or with the last value held until then. */
export function lasting(stages: readonly Stage[], endMs: number): Stage[] {
	const result: Stage[] = [];
	let startMs = 0;
	for (const stage of stages) {
		const ms = Math.min(stage.ms, endMs - startMs);
		if (ms <= 0) break;
		result.push(ms === stage.ms ? stage : { from: stage.from, to: stage.from + ((stage.to - stage.from) * ms) / stage.ms, ms });
		startMs += ms;
	}
	const { to } = stages.at(-1)!;
	return startMs < endMs ? [...result, { from: to, to, ms: endMs - startMs }] : result;
}

/** Messages of a stage, when its values are messages per second. */
const messagesOf = ({ from, to, ms }: Stage): number => ((from + to) / 2) * (ms / 1000);

/** How many messages a rate that changes over time makes: the area below it. */
export function messagesIn(stages: readonly Stage[]): number {
	return Math.round(stages.reduce((sum, stage) => sum + messagesOf(stage), 0));
}

/** When the message with this number (0 …) is due, in milliseconds since the start; asked with rising numbers. */
export class Schedule {
	readonly #stages: readonly Stage[];
	readonly #endMs: number;
	#stage = 0;
	#startMs = 0;
	/** Messages of the stages before. */
	#before = 0;

	constructor(stages: readonly Stage[]) {
		this.#stages = stages;
		this.#endMs = totalMs(stages);
	}

	dueMs(message: number): number {
		for (; this.#stage < this.#stages.length; this.#stage++) {
			const stage = this.#stages[this.#stage];
			const messages = messagesOf(stage);
			if (message < this.#before + messages) return this.#startMs + timeIn(stage, message - this.#before);
			this.#before += messages;
			this.#startMs += stage.ms;
		}
		return this.#endMs; // the last one may be there by rounding alone
	}
}

/** After what time a stage has made so many messages: the solution of `from·t + (slope/2)·t² = messages`, in milliseconds. */
function timeIn({ from, to, ms }: Stage, messages: number): number {
	const slope = ((to - from) * 1000) / ms;
	if (slope === 0) return (messages * 1000) / from;
	const root = Math.sqrt(Math.max(0, from * from + 2 * slope * messages));
	// Written so that a slope near 0 loses no digits.
	return from + root === 0 ? 0 : ((2 * messages) / (from + root)) * 1000;
}

/** How often the value goes up, all together: the clients that are opened when each is opened once. */
export function clientsOpened(counts: readonly number[]): number {
	let [opened, before] = [0, 0];
	for (const count of counts) {
		opened += Math.max(0, count - before);
		before = count;
	}
	return opened;
}

/** The values at which the stages begin and end, in order. */
export const cornersOf = (stages: readonly Stage[]): number[] => stages.flatMap(({ from, to }) => [from, to]);
