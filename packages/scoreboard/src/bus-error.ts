import { CodedError } from "@shardcast/wire";

/** Why the bus refused. A full ring is no error: `claim` answers -1. */
export const BusErrorCode = {
	/** The file is no scoreboard, or one of another version. */
	notABoard: "BUS_NOT_A_BOARD",
	/** The file is no table of addresses. */
	notAnAddressTable: "BUS_NOT_AN_ADDRESS_TABLE",
	/** The slot is outside the scoreboard, or nobody made its files. */
	noSuchMember: "BUS_NO_SUCH_MEMBER",
	/** The directory is no cluster directory, or cannot be made. */
	badDirectory: "BUS_BAD_DIRECTORY",
	/** A call at a time when it makes no sense. */
	misuse: "BUS_MISUSE",
} as const;
export type BusErrorCode = (typeof BusErrorCode)[keyof typeof BusErrorCode];

export class BusError extends CodedError<BusErrorCode> {
	override readonly name = "BusError";
}
