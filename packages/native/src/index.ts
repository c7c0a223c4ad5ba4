export { acceptDescriptor, hasHungUp } from "./accept.ts";
export { type ClockState, clockState } from "./clock.ts";
export { DescriptorChannel, LostDescriptors } from "./descriptor-channel.ts";
export { Doorbell, DoorbellRinger } from "./doorbell.ts";
export { nativeSupport } from "./libc.ts";
export { isOutOfDescriptors, NativeError } from "./native-error.ts";
export { effectiveUser, isOwn, safeOpenFlags } from "./own-file.ts";
export { dieWithParent, pidNamespace, processStartTicks } from "./processes.ts";
export { closeWithReset } from "./reset.ts";
export { SharedFile } from "./shared-file.ts";
export { socketPathBytesMax } from "./socket-layout.ts";
export {
	closeDescriptor,
	discard,
	duplicate,
	type PeerProcess,
	peek,
	peerAddress,
	peerProcess,
	replaceDescriptor,
	sendAll,
	sendAndClose,
	setDeferAccept,
	setTcpNoDelay,
	socketPair,
	unreadBytes,
} from "./sockets.ts";
