/** A part of a process that is started, worked off and stopped; its `main.ts` owns it. */
export interface Component {
	readonly name: string;
	start(): Promise<void>;
	/** Takes nothing new and works off what it has, for at most `deadlineMs`; resolves with the number of things cut off. */
	drain(deadlineMs: number): Promise<number>;
	/** Frees everything, at once; also after a start that failed, and twice. */
	stop(): Promise<void>;
}
