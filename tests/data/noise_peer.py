#!/usr/bin/python3
"""The other end of one handshake, spoken by python3-dissononce.

Everything is lines of hexadecimal digits but the first.

Standard input: initiator or responder; the prologue; own private key; the
responder's public key (empty for the responder itself); the pre-shared key;
own payload; the other side's message; one transport message of the other side.

Standard output: own message when its turn has come; the other side's payload;
its static public key; the handshake hash; one sealed transport message; the
other side's transport message, opened.
"""
import sys

from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.private import PrivateKey
from dissononce.dh.x25519.x25519 import X25519DH
from dissononce.hash.sha256 import SHA256Hash
from dissononce.processing.handshakepatterns.interactive.IK import IKHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState
from dissononce.processing.modifiers.psk import PSKPatternModifier


def read():
    return bytes.fromhex(sys.stdin.readline().strip())


def say(data):
    print(bytes(data).hex(), flush=True)


initiator = sys.stdin.readline().strip() == "initiator"
prologue, private, responder, psk, payload = (read() for _ in range(5))

dh = X25519DH()
state = HandshakeState(
    SymmetricState(CipherState(ChaChaPolyCipher()), SHA256Hash()), dh)
state.initialize(
    PSKPatternModifier(2).modify(IKHandshakePattern()), initiator, prologue,
    s=dh.generate_keypair(PrivateKey(private)),
    rs=dh.create_public(responder) if initiator else None, psks=[psk])

ours, theirs = bytearray(), bytearray()
if initiator:
    state.write_message(payload, ours)
    say(ours)
    send, receive = state.read_message(read(), theirs)
else:
    state.read_message(read(), theirs)
    receive, send = state.write_message(payload, ours)
    say(ours)

say(theirs)
say(state.rs.data)
say(state.symmetricstate.get_handshake_hash())
say(send.encrypt_with_ad(b"", b"sealed elsewhere"))
say(receive.decrypt_with_ad(b"", read()))
