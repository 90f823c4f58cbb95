"""Random arguments, properties and tables, of the types that a codec can write."""

import datetime
import decimal
import random
import struct
import time

# Tables are nested at most this deep.
DEPTH = 3

LETTERS = 'abcxyzABCXYZ019-_.:/@#$ \0\n"\\äßñéЖ中\u20ac\U0001f407'
NAMES = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:'


class RandomValues:
    """Values for one frame; a codec overrides what it takes in another form, and adds what it has more."""

    def __init__(self, source: random.Random):
        self.source = source

    def one_in(self, number):
        return self.source.randrange(number) == 0

    def text(self, longest):
        """A str of at most so many octets, mostly short."""
        letters = NAMES if self.source.random() < 0.6 else LETTERS
        length = self.source.choice([0, 1, 3, 8, 20, 60, 126, 127, 128, 129, longest])
        text = ''.join(self.source.choices(letters, k=min(length, longest)))
        return text.encode()[:longest].decode(errors='ignore')

    def octets(self):
        return self.source.randbytes(self.source.choice([0, 1, 2, 7, 40, 300]))

    def bits(self, bits, signed):
        """An integer of that size, the borders among them."""
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        return self.source.choice([low, high, 0, 1, self.source.randint(low, high)])

    def integer(self):
        """An integer for a table: around a border of the wire's types, or anywhere."""
        border = 1 << self.source.choice([0, 7, 8, 15, 16, 31, 32])
        near = self.source.choice([-1, 1]) * border + self.source.choice([-1, 0, 1])
        return self.source.choice([near, self.bits(8, True), self.bits(32, True), self.bits(64, True)])

    def floating(self):
        """A float that fits four octets without loss, usually."""
        if self.one_in(4):
            return self.source.uniform(-1e30, 1e30)
        if self.one_in(6):
            return self.source.choice([float('nan'), float('inf'), -float('inf')])
        borders = [0.0, -0.0, 1.5, 1e-45, 3.4028234663852886e38, self.source.gauss(0, 1e6)]
        return struct.unpack('>f', struct.pack('>f', self.source.choice(borders)))[0]

    def decimal(self):
        scale = self.source.choice([0, 1, 2, 9, 255, self.source.randrange(256)])
        # `scaleb` of a number with more digits than the context has would round.
        return decimal.Decimal(self.bits(32, True)).scaleb(-scale)

    def moment(self):
        """A time in the ways that Python has; naive ones are UTC."""
        seconds = self.source.choice([0, 1, 2**31, 2**32 - 1, self.source.randrange(2**32), 2**32, 253402300799])
        utc = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        zone = datetime.timezone(datetime.timedelta(hours=self.source.randint(-12, 0)))
        return self.source.choice([utc, utc.replace(tzinfo=None), utc.astimezone(zone)])

    def struct_time(self):
        return time.gmtime(self.source.randrange(2**33))

    def shortstr(self, longest):
        return self.text(longest)

    def longstr(self):
        return self.text(3000)

    def longlong(self):
        return self.bits(64, False)

    def timestamp(self):
        return self.moment()

    def value_kinds(self):
        """What makes the values of tables, nested ones aside."""
        return [
            lambda: self.one_in(2),
            self.integer,
            self.integer,
            self.decimal,
            self.moment,
            lambda: None,
            lambda: self.text(2000),
        ]

    def value(self, depth):
        kinds = self.value_kinds()
        if depth < DEPTH:
            kinds += [lambda: self.array(depth + 1), lambda: self.table(depth + 1)]
        return self.source.choice(kinds)()

    def array(self, depth):
        return [self.value(depth) for _ in range(self.source.randrange(5))]

    def table(self, depth=0):
        return {self.shortstr(200): self.value(depth) for _ in range(self.source.choice([0, 1, 2, 5]))}

    def of_type(self, wire_type):
        """A value for an argument or property of that type."""
        return {
            'bit': lambda: self.one_in(2),
            'octet': lambda: self.bits(8, False),
            'short': lambda: self.bits(16, False),
            'long': lambda: self.bits(32, False),
            'longlong': self.longlong,
            'shortstr': lambda: self.shortstr(255),
            'longstr': self.longstr,
            'timestamp': self.timestamp,
            'table': self.table,
        }[wire_type]()

    def channel(self):
        return self.source.choice([1, 2, 255, 256, 65535, self.source.randint(1, 65535)])
