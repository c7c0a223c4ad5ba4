/** A backend of a gateway of several processes, and the process that is connected to it. */
export interface BackendPlace {
	readonly id: number;
	readonly host: string;
	readonly port: number;
	/** "host:port". */
	readonly address: string;
	/** For people; "" = none. */
	readonly name: string;
	/** Where it is known from. */
	readonly origins: readonly ("static" | "discovered")[];
	/** Slot of the process that is connected to it. */
	readonly owner: number;
}
