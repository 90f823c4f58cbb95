//! Builders for methods with many arguments: every argument of the specification by its name, with its
//! default, then await.

/// Defines a builder whose await sends one method and returns its reply. `name: Type` makes a setter
/// for an argument; a name under `text` one for a short string, whose length is judged when it is
/// awaited.
macro_rules! request_builder {
    (
        $(#[$builder_doc:meta])*
        $builder:ident for $method:ty {
            $( $(#[$doc:meta])* $argument:ident: $type:ty; )*
        }
        $( text {
            $( $(#[$text_doc:meta])* $text:ident; )*
        } )?
    ) => {
        $(#[$builder_doc])*
        #[derive(Debug)]
        #[must_use = "a method is sent when this is awaited"]
        pub struct $builder<'a> {
            channel: &'a std::sync::Arc<crate::shared::ChannelHandle>,
            request: Result<$method, crate::error::Error>,
        }

        impl<'a> $builder<'a> {
            pub(crate) fn new(
                channel: &'a std::sync::Arc<crate::shared::ChannelHandle>,
                request: Result<$method, crate::error::Error>,
            ) -> Self {
                Self { channel, request }
            }

            $(
                $(#[$doc])*
                pub fn $argument(mut self, $argument: $type) -> Self {
                    if let Ok(request) = &mut self.request {
                        request.$argument = $argument;
                    }
                    self
                }
            )*

            $( $(
                $(#[$text_doc])*
                pub fn $text(mut self, $text: impl AsRef<[u8]>) -> Self {
                    match crate::publish::argument(stringify!($text), $text.as_ref()) {
                        Ok(value) => {
                            if let Ok(request) = &mut self.request {
                                request.$text = value;
                            }
                        }
                        Err(error) => self.request = Err(error),
                    }
                    self
                }
            )* )?
        }

        impl std::future::IntoFuture for $builder<'_> {
            type Output = Result<<$method as amqp091::types::Request>::Reply, crate::error::Error>;
            type IntoFuture = crate::call::Call<$method>;

            fn into_future(self) -> Self::IntoFuture {
                crate::call::Call::new(self.channel, self.request)
            }
        }
    };
}

/// Gives builders of methods that have a `no_wait` argument a way to go without a reply.
macro_rules! no_wait {
    ( $( $builder:ident: $method:ty; )* ) => {
        $(
            impl $builder<'_> {
                /// Sends it without asking for a reply (`no_wait`): await what this returns. Should
                /// the server refuse, it closes the channel, and the next call there tells.
                pub fn no_wait(self) -> crate::call::NoWait<$method> {
                    let request = self.request.map(|mut request| {
                        request.no_wait = true;
                        request
                    });
                    crate::call::NoWait::new(self.channel, request)
                }
            }
        )*
    };
}

/// Gives builders of methods that have an `arguments` table its setters; further, typed ones use
/// `set_argument`.
macro_rules! arguments {
    ( $( $builder:ident: $what:literal; )* ) => {
        $(
            impl $builder<'_> {
                #[doc = $what]
                ///
                /// They are added to what is set already, each in the place of what has its key.
                pub fn arguments(mut self, arguments: amqp091::types::FieldTable) -> Self {
                    if let Ok(request) = &mut self.request {
                        crate::arguments::merge(&mut request.arguments, arguments);
                    }
                    self
                }

                /// One more argument, in the place of what has its key.
                pub fn argument(
                    mut self,
                    key: amqp091::types::ShortStr,
                    value: impl Into<amqp091::types::Value>,
                ) -> Self {
                    if let Ok(request) = &mut self.request {
                        request.arguments.insert(key, value);
                    }
                    self
                }

                #[allow(dead_code, reason = "not every builder has typed arguments")]
                fn set_argument(
                    self,
                    key: &'static str,
                    value: impl Into<amqp091::types::Value>,
                ) -> Self {
                    self.argument(amqp091::types::ShortStr::from_static(key), value)
                }

                /// A name, whose length is judged when the builder is awaited.
                #[allow(dead_code, reason = "not every builder has typed arguments")]
                fn set_name(mut self, key: &'static str, name: &[u8]) -> Self {
                    match crate::publish::argument(key, name) {
                        Ok(name) => self.set_argument(key, crate::arguments::text(name)),
                        Err(error) => {
                            self.request = Err(error);
                            self
                        }
                    }
                }

                /// A flag: `false` is as good as nothing, and a queue that was declared without it is
                /// then found the same.
                #[allow(dead_code, reason = "not every builder has typed arguments")]
                fn set_flag(mut self, key: &'static str, flag: bool) -> Self {
                    if flag {
                        return self.set_argument(key, true);
                    }
                    if let Ok(request) = &mut self.request {
                        request.arguments.remove(key);
                    }
                    self
                }
            }
        )*
    };
}

pub(crate) use {arguments, no_wait, request_builder};
