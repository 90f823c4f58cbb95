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

pub(crate) use {no_wait, request_builder};
