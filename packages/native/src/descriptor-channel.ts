import { renameSync, rmSync } from "node:fs";
import { Linux } from "./constants.ts";
import { libc, throwErrno } from "./libc.ts";
import { NativeError } from "./native-error.ts";
import { type SocketLayout, socketPathBytesMax } from "./socket-layout.ts";
import { closeDescriptor } from "./sockets.ts";

/**
 * Passes open descriptors from one process to another: SCM_RIGHTS over a Unix datagram socket.
 *
 * One process binds the path; any number of processes send to it. Senders have no connection but address each message by path. So when the
 * receiver dies and its successor binds the same path, the next message reaches the successor. The receiver's end can also be inherited
 * (`descriptor`, `inherited`): then several processes read from one queue, each message goes to exactly one of them, and the queue exists as
 * long as any of them runs. When the last one is gone, the kernel closes the descriptors in the queue.
 *
 * The kernel queues about ten messages (net.unix.max_dgram_qlen) and refuses more: `send` then returns false, and the sender tries again.
 *
 * All buffers are allocated once; a call allocates only the array it returns. Node cannot poll the socket: ring a `Doorbell`.
 */
export class DescriptorChannel {
	/** Most descriptors in a message. The kernel's limit is 253. */
	static readonly descriptorsMax = 64;

	readonly path: string;
	readonly #fd: number;
	#open = true;
	readonly #places: Places;
	/** All structs that the kernel reads and writes. They point to each other, so they share one buffer. */
	readonly #memory: Buffer;

	private constructor(path: string, fd: number, address: Buffer | null) {
		const layout = libc().sockets;
		const places = placesOf(layout);
		const memory = Buffer.alloc(places.bytes);
		const base = libc().address(memory);
		const pointTo = (place: number) => base + BigInt(place);
		memory.writeBigUInt64LE(pointTo(places.payload), places.vector + layout.vectorBase);
		memory.writeBigUInt64LE(1n, places.vector + layout.vectorLength);
		memory.writeBigUInt64LE(pointTo(places.vector), layout.messageVectors);
		memory.writeBigUInt64LE(1n, layout.messageVectorCount);
		memory.writeBigUInt64LE(pointTo(places.control), layout.messageControl);
		if (address !== null) {
			address.copy(memory, places.address);
			memory.writeBigUInt64LE(pointTo(places.address), layout.messageName);
			memory.writeUInt32LE(address.length, layout.messageNameBytes);
		}
		this.path = path;
		this.#fd = fd;
		this.#places = places;
		this.#memory = memory;
	}

	/** Creates the receiver's end. Replaces a predecessor's socket at the path atomically, so that senders always find one of them. */
	static bind(path: string): DescriptorChannel {
		const temporary = `${path}.${process.pid}`;
		const address = socketAddress(temporary);
		rmSync(temporary, { force: true });
		const fd = datagramSocket();
		try {
			if (libc().bind(fd, address, address.length) === -1) throwErrno("bind", temporary);
			renameSync(temporary, path);
			return new DescriptorChannel(path, fd, null);
		} catch (error) {
			closeDescriptor(fd);
			rmSync(temporary, { force: true });
			throw error;
		}
	}

	/** Uses a receiver's end that another process has bound and passed on as an open descriptor. */
	static inherited(descriptor: number, path: string): DescriptorChannel {
		return new DescriptorChannel(path, descriptor, null);
	}

	/** The descriptor to pass to a child. Open as long as this end. */
	get descriptor(): number {
		return this.#fd;
	}

	/** Creates a sender's end. The receiver need not exist yet. */
	static connect(path: string): DescriptorChannel {
		const address = socketAddress(path);
		return new DescriptorChannel(path, datagramSocket(), address);
	}

	/**
	 * Sends up to `descriptorsMax` descriptors in one message, all or none. They stay open here: the caller must close them.
	 * @returns false when the receiver's queue is full: try again later.
	 * @throws NativeError ECONNREFUSED or ENOENT while there is no receiver; the channel stays usable.
	 */
	send(descriptors: readonly number[]): boolean {
		const count = descriptors.length;
		if (count === 0 || count > DescriptorChannel.descriptorsMax)
			throw new RangeError(`${count} descriptors in one message; 1 to ${DescriptorChannel.descriptorsMax} can be sent`);
		const { sockets: layout, sendmsg, errno: lastErrno } = libc();
		const { control, payload } = this.#places;
		const memory = this.#memory;
		const bytes = layout.controlHeaderBytes + 4 * count;
		memory.writeBigUInt64LE(BigInt(bytes), control + layout.controlLength);
		memory.writeInt32LE(Linux.SOL_SOCKET, control + layout.controlLevel);
		memory.writeInt32LE(Linux.SCM_RIGHTS, control + layout.controlType);
		for (let i = 0; i < count; i++) memory.writeInt32LE(descriptors[i], control + layout.controlHeaderBytes + 4 * i);
		memory.writeBigUInt64LE(BigInt(align8(bytes)), layout.messageControlBytes);
		memory[payload] = count;
		if (sendmsg(this.#fd, memory, Linux.MSG_DONTWAIT | Linux.MSG_NOSIGNAL) !== -1) return true;
		const errno = lastErrno();
		// ETOOMANYREFS: as many descriptors are in flight as this process may open. The receiver will take them out of the queue.
		if (errno === Linux.EAGAIN || errno === Linux.ENOBUFS || errno === Linux.ETOOMANYREFS || errno === Linux.EINTR) return false;
		throw NativeError.fromErrno(errno, "sendmsg", this.path);
	}

	/**
	 * Takes one message out of the queue. The caller must close the descriptors.
	 * @returns [] when the queue is empty.
	 * @throws LostDescriptors when descriptors were lost on the way, after closing the others.
	 */
	receive(): number[] {
		const { sockets: layout, recvmsg, errno: lastErrno } = libc();
		const { control, controlBytes, payload } = this.#places;
		this.#memory.writeBigUInt64LE(BigInt(controlBytes), layout.messageControlBytes);
		if (recvmsg(this.#fd, this.#memory, Linux.MSG_DONTWAIT | Linux.MSG_CMSG_CLOEXEC) === -1) {
			const errno = lastErrno();
			if (errno === Linux.EAGAIN || errno === Linux.EINTR) return [];
			throw NativeError.fromErrno(errno, "recvmsg", this.path);
		}
		const descriptors = this.#received(layout, control);
		const truncated = (this.#memory.readInt32LE(layout.messageFlags) & Linux.MSG_CTRUNC) !== 0;
		const sent = this.#memory[payload];
		if (!truncated && descriptors.length === sent) return descriptors;
		for (const fd of descriptors) closeDescriptor(fd);
		const lost = `${sent} descriptors were sent, ${descriptors.length} arrived`;
		// The control buffer has room for all that `send` can send, so this process had no free descriptors for the missing ones.
		if (sent > 0 && sent <= DescriptorChannel.descriptorsMax) throw new LostDescriptors(sent, "EMFILE", lost);
		throw new LostDescriptors(sent, "MSG_CTRUNC", lost, `send at most ${DescriptorChannel.descriptorsMax} in a message`);
	}

	/** Closes this end. The receiver's path is not removed: its successor may have bound it already. */
	close(): void {
		if (!this.#open) return;
		this.#open = false;
		closeDescriptor(this.#fd);
	}

	#received(layout: SocketLayout, control: number): number[] {
		if (this.#memory.readBigUInt64LE(layout.messageControlBytes) < BigInt(layout.controlHeaderBytes)) return [];
		const bytes = Number(this.#memory.readBigUInt64LE(control + layout.controlLength)) - layout.controlHeaderBytes;
		const descriptors = new Array<number>(bytes >> 2);
		for (let i = 0; i < descriptors.length; i++) descriptors[i] = this.#memory.readInt32LE(control + layout.controlHeaderBytes + 4 * i);
		return descriptors;
	}
}

/** A message arrived without some of its descriptors. All descriptors of the message are closed. */
export class LostDescriptors extends NativeError {
	readonly count: number;

	constructor(count: number, code: string, what: string, fix?: string) {
		super(code, "recvmsg", what, fix);
		this.name = "LostDescriptors";
		this.count = count;
	}
}

/** Offsets of the parts in a channel's buffer. The message header is first. */
interface Places {
	readonly vector: number;
	readonly control: number;
	readonly controlBytes: number;
	/** At least one byte must accompany the descriptors. It holds their number. */
	readonly payload: number;
	readonly address: number;
	readonly bytes: number;
}

function placesOf(layout: SocketLayout): Places {
	const vector = align8(layout.messageBytes);
	const control = align8(vector + layout.vectorBytes);
	const controlBytes = align8(layout.controlHeaderBytes + 4 * DescriptorChannel.descriptorsMax);
	const payload = control + controlBytes;
	const address = payload + 8;
	return { vector, control, controlBytes, payload, address, bytes: address + layout.addressBytes };
}

function align8(bytes: number): number {
	return (bytes + 7) & ~7;
}

function datagramSocket(): number {
	const fd = libc().socket(Linux.AF_UNIX, Linux.SOCK_DGRAM | Linux.SOCK_NONBLOCK | Linux.SOCK_CLOEXEC, 0);
	if (fd === -1) throwErrno("socket");
	return fd;
}

function socketAddress(path: string): Buffer {
	const layout = libc().sockets;
	const bytes = Buffer.byteLength(path);
	if (bytes > socketPathBytesMax)
		throw new NativeError(
			"ENAMETOOLONG",
			"bind",
			`${path} has ${bytes} bytes; the path of a Unix socket has at most ${socketPathBytesMax}`,
		);
	const address = Buffer.alloc(layout.addressBytes);
	address.writeUInt16LE(Linux.AF_UNIX, 0);
	address.write(path, layout.addressPath);
	return address;
}
