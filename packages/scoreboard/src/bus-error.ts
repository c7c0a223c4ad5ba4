import { CodedError } from "@shardcast/wire";

/** Codes of bus errors. A full ring is not an error: `claim` returns -1. */
export const BusErrorCode = {
	/** The file is not a scoreboard, or has another version. */
	notABoard: "BUS_NOT_A_BOARD",
	/** The file is not a table of addresses. */
	notAnAddressTable: "BUS_NOT_AN_ADDRESS_TABLE",
	/** The slot is out of range, or its files do not exist. */
	noSuchMember: "BUS_NO_SUCH_MEMBER",
	/** The directory is not a cluster directory, or cannot be created. */
	badDirectory: "BUS_BAD_DIRECTORY",
	/** A call that is not allowed at this time. */
	misuse: "BUS_MISUSE",
} as const;
export type BusErrorCode = (typeof BusErrorCode)[keyof typeof BusErrorCode];

export class BusError extends CodedError<BusErrorCode> {
	override readonly name = "BusError";
}
