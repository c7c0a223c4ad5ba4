/** One comparison of the bench. */
export interface Part {
	readonly help: string;
	/** As many as make it last 60 s at most. */
	readonly rounds: number;
	run(rounds: number): Promise<void>;
}
